"""What people type about orders. A form checks shape and what the exchange's configuration says;
what may be done is decided by `market.orders`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.forms import StrictDecimalField
from accounts.models import ApiKey
from market.bitfinex.orders import (
    DECIMALS,
    MAX_LEVERAGE,
    ORDER_TYPES,
    PRICE_DIGITS,
    SPOT,
    Flag,
    NewOrder,
    OrderInvalid,
)
from market.bitfinex.symbols import is_funding, is_symbol
from market.instrument_book import find_instrument
from market.instruments import Instrument
from market.invalid_words import invalid_words

SPOT_FIRST = sorted(ORDER_TYPES, key=lambda name: not name.startswith(SPOT))
PLAIN = {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
NUMBER = {**PLAIN, "inputmode": "decimal"}
TIF_FORMATS = ("%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M")
FLAGS = {
    "hidden": Flag.HIDDEN,
    "post_only": Flag.POST_ONLY,
    "reduce_only": Flag.REDUCE_ONLY,
    "close": Flag.CLOSE,
    "oco": Flag.OCO,
}
PRICES = ("price", "price_trailing", "price_aux_limit", "price_oco_stop")
CANCEL_ALL = "CANCEL ALL"
SHORTEST_SYMBOL = 7  # `t` and two currencies
MARGIN_KINDS = {"margin", "futures"}
SMALLEST_STEP = Decimal(1).scaleb(-DECIMALS)
WIDE = Context(prec=60)  # holds whatever the fields let through, twice


def nearest_prices(price: Decimal) -> tuple[Decimal, Decimal]:
    """The allowed prices just below and above: five significant digits, eight decimals. Both are
    the price itself when it is allowed."""
    step = Decimal(1).scaleb(max(price.adjusted() - PRICE_DIGITS + 1, -DECIMALS))
    below, above = (price.quantize(step, way, WIDE) for way in (ROUND_FLOOR, ROUND_CEILING))
    return below, above


def shortened(number: Decimal) -> Decimal:
    """The same number, without zeros beyond the eighth decimal."""
    exponent = number.as_tuple().exponent
    is_long = isinstance(exponent, int) and exponent < -DECIMALS
    return number.quantize(SMALLEST_STEP, context=WIDE) if is_long else number


def plain(number: Decimal) -> str:
    """Digits without exponent or needless zeros."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


class AmountField(StrictDecimalField):
    """A positive amount with at most the eight decimals that the exchange takes."""

    widget = forms.TextInput(attrs=NUMBER)

    def to_python(self, value: Any) -> Any:
        if not self.required and str(value or "").strip() == "":
            return None
        number: Decimal = super().to_python(value)
        if number <= 0:
            raise ValidationError("More than nothing, please.")
        self.check_digits(number)
        return shortened(number)

    def check_digits(self, number: Decimal) -> None:
        if number != number.quantize(SMALLEST_STEP, context=WIDE):
            raise ValidationError(f"Bitfinex takes at most {DECIMALS} decimals.")


class PriceField(AmountField):
    """A positive price that the exchange takes whole: it would cut longer ones."""

    def check_digits(self, number: Decimal) -> None:
        below, above = nearest_prices(number)
        if below != above:
            allowed = [plain(price) for price in (below, above) if price > 0]
            raise ValidationError(
                f"Bitfinex takes {PRICE_DIGITS} significant digits of a price. The nearest: "
                f"{' or '.join(allowed)}."
            )


class SymbolField(forms.CharField):
    """`tBTCUSD`; `BTCUSD`, `btcusd` and `BTC/USD` mean the same."""

    def to_python(self, value: Any) -> str:
        text = str(super().to_python(value) or "")
        if not text:
            return ""
        for name in (text, f"t{text.replace('/', '').upper()}"):
            if is_symbol(name) and not is_funding(name) and len(name) >= SHORTEST_SYMBOL:
                return name
        raise ValidationError("Not a pair of the exchange. It looks like tBTCUSD.")


class UtcMomentField(forms.DateTimeField):
    """A moment of the future, typed and shown in UTC."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format=TIF_FORMATS[0])

    def to_python(self, value: Any) -> datetime | None:
        moment = super().to_python(value)
        return None if moment is None else moment.astimezone(UTC)

    def validate(self, value: Any) -> None:
        super().validate(value)
        if value is not None and value <= timezone.now():
            raise ValidationError("This moment has passed. Times are in UTC.")


class PricesForm(forms.Form):
    """The fields that a new order and a change have in common."""

    amount = AmountField(label="Amount", help_text="In the pair's first currency.")
    price = PriceField(
        label="Price", required=False, help_text="Of a stop order: where it is triggered."
    )
    price_trailing = PriceField(
        label="Trailing distance",
        required=False,
        help_text="How far the stop follows behind the market.",
    )
    price_aux_limit = PriceField(
        label="Limit after the stop",
        required=False,
        help_text="A stop-limit order is triggered at its price, then trades no worse than this.",
    )
    tif = UtcMomentField(
        label="Good until (UTC)",
        required=False,
        input_formats=TIF_FORMATS,
        help_text="Bitfinex cancels it then. Empty: until cancelled.",
    )

    def add_invalid(self, error: OrderInvalid) -> None:
        field = error.field if error.field in self.fields else None
        self.add_error(field, invalid_words(error.field, error.reason))

    def check_size(self, size: Instrument | None) -> None:
        amount = self.cleaned_data.get("amount")
        if amount is None or size is None:
            return
        if size.smallest is not None and amount < size.smallest:
            self.add_error("amount", f"The smallest order of this pair is {plain(size.smallest)}.")
        if size.largest is not None and amount > size.largest:
            self.add_error("amount", f"The largest order of this pair is {plain(size.largest)}.")


class TicketForm(PricesForm):
    """A new order. `order` is what would be sent, once the form is valid."""

    order: NewOrder

    key = forms.ChoiceField(label="Key")
    symbol = SymbolField(
        label="Symbol",
        max_length=24,
        widget=forms.TextInput(attrs={**PLAIN, "list": "known-symbols"}),
    )
    side = forms.ChoiceField(
        label="Side",
        choices=[("buy", "Buy"), ("sell", "Sell")],
        widget=forms.RadioSelect,
        initial="buy",
    )
    order_type = forms.ChoiceField(
        label="Order type",
        choices=[(name, name) for name in SPOT_FIRST],
        initial="EXCHANGE LIMIT",
        help_text="EXCHANGE trades from your exchange wallet; without it, on margin.",
    )
    hidden = forms.BooleanField(
        label="Hidden", required=False, help_text="Not shown in the public book."
    )
    post_only = forms.BooleanField(
        label="Post only",
        required=False,
        help_text="Limit orders: cancelled rather than traded at once.",
    )
    reduce_only = forms.BooleanField(
        label="Reduce only", required=False, help_text="Margin: only makes a position smaller."
    )
    close = forms.BooleanField(
        label="Close position",
        required=False,
        help_text="Margin: ends the position if there is one.",
    )
    oco = forms.BooleanField(
        label="One cancels the other",
        required=False,
        help_text="Limit orders: a stop beside it; the first that trades cancels the other.",
    )
    price_oco_stop = PriceField(
        label="Stop of the other", required=False, help_text="Where the other order triggers."
    )
    leverage = forms.IntegerField(
        label="Leverage",
        required=False,
        min_value=1,
        max_value=MAX_LEVERAGE,
        help_text="Derivatives only, 1 to 100.",
    )

    field_order = [
        "key", "symbol", "side", "order_type", "amount", "price", "price_trailing",
        "price_aux_limit", "hidden", "post_only", "reduce_only", "close", "oco", "price_oco_stop",
        "tif", "leverage",
    ]  # fmt: skip

    def __init__(self, *args: Any, keys: Sequence[ApiKey], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.own_keys = offer_keys(self, keys)

    def clean(self) -> dict[str, Any]:
        found = self.cleaned_data
        if found.get("symbol") and found.get("order_type"):
            self._check_pair(found["symbol"], is_spot=found["order_type"].startswith(SPOT))
        if not self.errors:
            try:
                self.order = read_ticket(found)
            except OrderInvalid as error:
                self.add_invalid(error)
        return found

    def _check_pair(self, symbol: str, *, is_spot: bool) -> None:
        is_known, pair = find_instrument(symbol)
        self.check_size(pair)
        if not is_known:
            return
        if pair is None:
            self.add_error("symbol", f"Bitfinex does not list {symbol}.")
        elif is_spot and "exchange" not in pair.kinds:
            self.add_error("order_type", f"{symbol} is not traded spot: use a type without {SPOT}.")
        elif not is_spot and not pair.kinds & MARGIN_KINDS:
            self.add_error("order_type", f"{symbol} is not traded on margin: use an EXCHANGE type.")

    @property
    def chosen_key(self) -> ApiKey:
        """Of a valid form."""
        return self.own_keys[self.cleaned_data["key"]]


def offer_keys(form: forms.Form, keys: Sequence[ApiKey]) -> dict[str, ApiKey]:
    """The choices of its field `key`; the keys by what is chosen."""
    field = form.fields["key"]
    if isinstance(field, forms.ChoiceField):
        field.choices = [(str(key.pk), str(key)) for key in keys]
    return {str(key.pk): key for key in keys}


def read_ticket(found: dict[str, Any]) -> NewOrder:
    """Raises `OrderInvalid`."""
    flags = Flag(0)
    for name, flag in FLAGS.items():
        if found[name]:
            flags |= flag
    same = ("symbol", "side", "order_type", "amount", *PRICES, "tif", "leverage")
    return NewOrder(**{name: found[name] for name in same}, flags=flags)


def ticket_fields(order: NewOrder) -> dict[str, Any]:
    """The same order as a ticket has it, to be reviewed anew."""
    numbers = {name: getattr(order, name) for name in ("amount", *PRICES)}
    return {
        "symbol": order.symbol,
        "side": order.side,
        "order_type": order.order_type,
        **{name: plain(value) for name, value in numbers.items() if value is not None},
        **{name: flag in order.flags for name, flag in FLAGS.items()},
        "tif": order.tif,
        "leverage": order.leverage,
    }


class ConfirmForm(forms.Form):
    """What the review asks for besides the click."""

    def __init__(self, *args: Any, amount: Decimal, concerns: Sequence[str], **kw: Any) -> None:
        super().__init__(*args, **kw)
        self._amount = amount
        if "far" in concerns:
            self.fields["amount_again"] = AmountField(
                label="Type the amount again", help_text=f"To confirm the price: {plain(amount)}"
            )
        if "stale" in concerns or "no_price" in concerns:
            self.fields["aware"] = forms.BooleanField(
                label="I know that the market may be elsewhere by now"
            )

    def clean_amount_again(self) -> Decimal:
        typed: Decimal = self.cleaned_data["amount_again"]
        if typed != self._amount:
            raise ValidationError("This is not the amount of the order.")
        return typed


class ChangeForm(PricesForm):
    """New values of an open order; only the fields that its type has."""

    def __init__(self, *args: Any, order: NewOrder, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.order = order
        self.fields["amount"].label = "Amount left"
        for name in ("price", "price_trailing", "price_aux_limit"):
            if getattr(order, name) is None:
                del self.fields[name]
            else:
                self.fields[name].required = True

    @property
    def changes(self) -> dict[str, Any]:
        """Of a valid form: what differs from the order. An end once set can only be moved."""
        shown = {"tif": self.order.tif and self.order.tif.replace(second=0, microsecond=0)}
        found = {name: value for name, value in self.cleaned_data.items() if value is not None}
        return {
            name: new
            for name, new in found.items()
            if new != shown.get(name, getattr(self.order, name))
        }

    def clean(self) -> dict[str, Any]:
        self.check_size(find_instrument(self.order.symbol).instrument)
        if not self.errors and not self.changes:
            self.add_error(None, "Nothing is changed yet.")
        return self.cleaned_data


class CancelAllForm(forms.Form):
    words = forms.CharField(
        label=f"Type {CANCEL_ALL}", max_length=20, widget=forms.TextInput(attrs=PLAIN)
    )

    def clean_words(self) -> str:
        if self.cleaned_data["words"] != CANCEL_ALL:
            raise ValidationError(f"Type exactly {CANCEL_ALL}.")
        return CANCEL_ALL


class PageForm(forms.Form):
    """What a history shows: of which key, which pair, and which page of time."""

    key = forms.ChoiceField(label="Key", required=False)
    symbol = SymbolField(
        label="Symbol", required=False, max_length=24, widget=forms.TextInput(attrs=PLAIN)
    )
    before = forms.IntegerField(
        required=False, min_value=1, max_value=2**53 - 1, widget=forms.HiddenInput
    )
    seen = forms.RegexField(
        r"[0-9]{1,16}(,[0-9]{1,16})*", required=False, max_length=2000, widget=forms.HiddenInput
    )

    def __init__(self, *args: Any, keys: Sequence[ApiKey], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.own_keys = offer_keys(self, keys)
