"""Orders as their pages show them: prepared words, so that templates only place them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal, NamedTuple

from market.bitfinex.account import Order
from market.bitfinex.orders import Flag, NewOrder, order_state
from market.display import NOTHING, grouped
from market.forms import plain
from market.intents import IN_DOUBT, MICROS, read_order
from market.listing import listing
from market.models import OrderIntent, OrderState

FLAG_WORDS = {
    Flag.HIDDEN: "hidden",
    Flag.POST_ONLY: "post only",
    Flag.REDUCE_ONLY: "reduce only",
    Flag.CLOSE: "close position",
    Flag.OCO: "one cancels the other",
    Flag.NO_VAR_RATES: "no variable funding rates",
}
PRICE_WORDS = {
    "price": "Price",
    "price_trailing": "Trailing distance",
    "price_aux_limit": "Limit after the stop",
    "price_oco_stop": "Stop of the other",
}
TO_CENTS = Decimal("0.01")
NOT_SENT_AFTER = timedelta(seconds=20)


def number(value: Decimal | None) -> str:
    """Every digit, with separators."""
    return NOTHING if value is None else grouped(plain(abs(value)))


def usd(value: Decimal) -> str:
    return f"{value.quantize(TO_CENTS):,f}"


def moment(at: datetime | None) -> str:
    return NOTHING if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def of_ms(mts: int | None) -> datetime | None:
    return None if mts is None else datetime.fromtimestamp(mts / 1000, UTC)


def flag_words(flags: int) -> str:
    return ", ".join(word for flag, word in FLAG_WORDS.items() if flags & flag) or NOTHING


def order_lines(order: NewOrder) -> Iterator[tuple[str, str]]:
    """Name and value of everything that is sent."""
    item = listing(order.symbol)
    yield "Symbol", f"{order.symbol} ({item.label})"
    yield "Side", order.side
    yield "Order type", order.order_type
    yield "Amount", f"{number(order.amount)} {item.base}"
    for name, word in PRICE_WORDS.items():
        value = getattr(order, name)
        if value is not None:
            yield word, f"{number(value)} {item.quote}"
    if order.flags:
        yield "Options", flag_words(order.flags)
    if order.leverage is not None:
        yield "Leverage", str(order.leverage)
    yield "Good until", moment(order.tif) if order.tif else "cancelled"


Tone = Literal["wait", "good", "bad", "alarm"]


class Outcome(NamedTuple):
    """What a page says of an order that was confirmed."""

    tone: Tone
    title: str
    text: str
    advice: str


def outcome(intent: OrderIntent) -> Outcome:
    known = OUTCOMES[OrderState(intent.state)]
    return known._replace(text=_told(intent) or known.text)


OUTCOMES = {
    OrderState.PREVIEW: Outcome("wait", "Not confirmed yet", "Nothing was sent.", ""),
    OrderState.INTENT: Outcome(
        "wait", "Waiting for its turn", "It is recorded; nothing has been sent yet.", ""
    ),
    OrderState.SENDING: Outcome(
        "wait",
        "Sending",
        "It is on its way to Bitfinex.",
        "Do not place it a second time: this page will say what became of it.",
    ),
    OrderState.UNKNOWN: Outcome(
        "wait",
        "Checking with Bitfinex",
        "The reply was lost. This server asks Bitfinex whether it has the order.",
        "Do not place it a second time: this page will say what became of it.",
    ),
    OrderState.ACCEPTED: Outcome("good", "Accepted", "Bitfinex has the order.", ""),
    OrderState.REJECTED: Outcome(
        "bad",
        "Refused",
        "",
        "Nothing was placed. Change what Bitfinex names, and place it again.",
    ),
    OrderState.NOT_PLACED: Outcome("bad", "Not placed", "", "It is safe to place it again."),
    OrderState.KEY_GONE: Outcome(
        "alarm",
        "Nobody can say",
        "",
        "Look at your orders at Bitfinex before you place it again.",
    ),
}


def _told(intent: OrderIntent) -> str:
    """The words that came with the state, if any did."""
    if intent.state == OrderState.ACCEPTED:
        return f"Bitfinex has the order. Its words: {intent.status}"
    return intent.reason if intent.is_settled else ""


@dataclass(frozen=True)
class IntentShown:
    """An order that was asked for here."""

    intent: OrderIntent

    @property
    def order(self) -> NewOrder:
        return read_order(self.intent)

    @property
    def outcome(self) -> Outcome:
        return outcome(self.intent)

    @property
    def lines(self) -> list[tuple[str, str]]:
        return list(order_lines(self.order))

    @property
    def value(self) -> str:
        return usd(self.intent.value_micros / MICROS)

    @property
    def summary(self) -> str:
        """One line: "buy 0.01 BTC/USD"."""
        return f"{self.order.side} {self.amount}"

    @property
    def amount(self) -> str:
        order = self.order
        return f"{number(order.amount)} {listing(order.symbol).label}"

    @property
    def price_text(self) -> str:
        order = self.order
        prices = (order.price, order.price_trailing, order.price_aux_limit)
        return " / ".join(number(price) for price in prices if price is not None) or "market"

    @property
    def is_in_doubt(self) -> bool:
        return self.intent.state in IN_DOUBT

    @property
    def may_be_repeated(self) -> bool:
        return self.intent.state in (OrderState.REJECTED, OrderState.NOT_PLACED)

    @property
    def began(self) -> datetime:
        return self.intent.sent_at or self.intent.confirmed_at or self.intent.created_at

    @property
    def began_ms(self) -> int:
        return int(self.began.timestamp() * 1000)


@dataclass(frozen=True)
class OpenOrder:
    """An order as the exchange has it. `placed_here` is the intent it came from, if any."""

    order: Order
    key: object
    placed_here: OrderIntent | None

    @property
    def label(self) -> str:
        return listing(self.order.symbol).label

    @property
    def state(self) -> str:
        """One word for scripts and styles."""
        return order_state(self.order.status).replace(" ", "-")

    @property
    def amount(self) -> str:
        return number(self.order.amount)

    @property
    def original(self) -> str:
        return number(self.order.amount_orig)

    @property
    def filled(self) -> str:
        return number(self.order.filled) if self.order.filled else ""

    @property
    def price(self) -> str:
        order = self.order
        prices = (order.price or None, order.price_trailing or None, order.price_aux_limit or None)
        return " / ".join(number(price) for price in prices if price is not None) or "market"

    @property
    def options(self) -> str:
        words = flag_words(self.order.flags or 0)
        return "" if words == NOTHING else words

    @property
    def created(self) -> datetime | None:
        return of_ms(self.order.mts_create)

    @property
    def until(self) -> datetime | None:
        return of_ms(self.order.mts_tif)
