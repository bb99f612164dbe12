"""What orders do to money: reservations, fills, fees, ledgers, and who is told in which order.

A customer pays the fee in what he receives; on margin in the quote currency. The order of the
frames is that of a recorded instant fill (2017): the wallets, then `oc`, then `te`, `tu`, then the
wallet that paid the fee; a position comes last.
"""

from collections.abc import Iterator
from decimal import ROUND_UP, Decimal
from typing import NamedTuple

from market.sandbox.orders import Order
from market.sandbox.positions import USUAL_LEVERAGE, Position, Positions
from market.sandbox.prices import spell
from market.sandbox.records import EXCHANGE, FEE, POSITION, Entry, Records, Trade
from market.sandbox.venue import UNIT, Listed
from market.sandbox.wallets import ZERO, Bank, Wallet
from market.sandbox.wire import Denied, Notice

MAKER_FEE, TAKER_FEE = Decimal("0.001"), Decimal("0.002")


class Fill(NamedTuple):
    """So much (signed as the order) at a price."""

    amount: Decimal
    price: Decimal
    maker: bool


class Tape:
    """What happened to one order, until it is told."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.wallets: dict[int, Wallet] = {}
        self.fees: dict[int, Wallet] = {}
        self.trades: list[Trade] = []
        self.positions: list[Notice] = []

    def notices(self, code: str) -> Iterator[Notice]:
        """In the recorded order; `code` is what is said of the order (`on`, `ou`, `oc`)."""
        user = self.order.user
        wallets = [Notice(user, "wu", wallet.row()) for wallet in self.wallets.values()]
        told = Notice(user, code, self.order.row())
        yield from (*wallets, told) if self.trades else (told, *wallets)
        for trade in self.trades:
            yield Notice(user, "te", trade.row(fee=False))
        for trade in self.trades:
            yield Notice(user, "tu", trade.row())
        for wallet in self.fees.values():
            yield Notice(user, "wu", wallet.row())
        yield from self.positions


class Settlement:
    """Moves invented money."""

    def __init__(self, bank: Bank, positions: Positions, records: Records) -> None:
        self._bank, self._positions, self._records = bank, positions, records

    def reserve(self, order: Order, pair: Listed, tape: Tape) -> None:
        """Hold what the rest of an order needs, or let go of what it does not need any more.

        Raises Denied when the wallet has not enough.
        """
        if not order.spot or (order.partner and order.pending):
            return
        needed = self.needed(order) if order.active else ZERO
        wallet = self._wallet(order, pair)
        more = needed - order.reserved
        if more > wallet.available:
            raise not_enough(order, pair)
        if more:
            self._bank.reserve(wallet, more)
            order.reserved = needed
            tape.wallets[id(wallet)] = wallet

    def needed(self, order: Order) -> Decimal:
        """What an exchange order holds of its wallet: quote for a buy, base for a sale; nothing for
        one that never rests."""
        if order.basic in ("MARKET", "IOC", "FOK"):
            return ZERO
        if not order.buys:
            return abs(order.amount)
        price = order.aux if order.basic == "STOP LIMIT" else order.price
        return (abs(order.amount) * price).quantize(UNIT, ROUND_UP)

    def affordable(self, order: Order, pair: Listed, cost: Decimal) -> bool:
        """Whether a buyer can pay so much of quote, a seller has so much of base."""
        wallet = self._wallet(order, pair)
        return cost <= wallet.available + order.reserved

    def fill(self, order: Order, pair: Listed, fill: Fill, now: float, tape: Tape) -> None:
        """Carry out one execution."""
        price = order.price or fill.price
        order.fill(fill.amount, fill.price, int(now * 1000))
        fee, currency = self._fee(order, pair, fill)
        trade = Trade(
            self._records.next_id(now), order.user, order.symbol, int(now * 1000), order.id,
            fill.amount, fill.price, order.kind, price, fill.maker, -fee, currency, order.cid,
        )  # fmt: skip
        self._records.add_trade(trade)
        tape.trades.append(trade)
        if order.spot:
            self._exchange(trade, pair, tape)
            self.reserve(order, pair, tape)
        else:
            self._margin(order, trade, pair, tape)
        kind = "exchange" if order.spot else "margin"
        wallet = self._bank.wallet(order.user, kind, currency)
        rate = "0.1%" if fill.maker else "0.2%"
        text = f"Trading fees for {_said(fill.amount)} {pair.base} ({order.symbol[1:]}) @ " \
               f"{_said(fill.price)} on BFX ({rate})"  # fmt: skip
        self._book(wallet, -fee, text, FEE, trade)
        tape.fees[id(wallet)] = wallet

    def _exchange(self, trade: Trade, pair: Listed, tape: Tape) -> None:
        text = f"Exchange {_said(trade.amount)} {pair.base} for {pair.quote} @ {_said(trade.price)}"
        paid = -(trade.amount * trade.price).quantize(UNIT)
        for currency, amount in ((pair.quote, paid), (pair.base, trade.amount)):
            wallet = self._bank.wallet(trade.user, "exchange", currency)
            self._book(wallet, amount, text, EXCHANGE, trade)
            tape.wallets[id(wallet)] = wallet

    def _margin(self, order: Order, trade: Trade, pair: Listed, tape: Tape) -> None:
        position = self._positions.get(order.user, order.symbol)
        code = "pu"
        if position is None:
            code = "pn"
            position = Position(
                self._records.next_id(trade.mts / 1000), order.user, order.symbol, trade.amount,
                trade.price, trade.mts, trade.mts,
                lev=(order.lev or USUAL_LEVERAGE) if pair.future else None,
            )  # fmt: skip
            self._positions.begin(position)
        else:
            gain = self._positions.change(position, trade.amount, trade.price, trade.mts)
            if gain:
                wallet = self._bank.wallet(order.user, "margin", pair.quote)
                text = f"Position closed @ {_said(trade.price)} (TRADE)"
                self._book(wallet, gain, text, POSITION, trade)
                tape.wallets[id(wallet)] = wallet
            code = "pu" if position.amount else "pc"
        position.meta = _meta(trade)
        last = self._positions.last(order.symbol)
        tape.positions.append(Notice(order.user, code, position.row(last)))

    def _fee(self, order: Order, pair: Listed, fill: Fill) -> tuple[Decimal, str]:
        """The fee and its currency."""
        rate = MAKER_FEE if fill.maker else TAKER_FEE
        if order.spot and order.buys:
            return (abs(fill.amount) * rate).quantize(UNIT, ROUND_UP), pair.base
        return (abs(fill.amount) * fill.price * rate).quantize(UNIT, ROUND_UP), pair.quote

    def _book(
        self, wallet: Wallet, amount: Decimal, text: str, category: int, trade: Trade
    ) -> None:
        self._bank.book(wallet, amount, text, _meta(trade))
        now = trade.mts / 1000
        entry = Entry(
            self._records.next_id(now), wallet.user, wallet.currency, wallet.kind, trade.mts,
            amount, wallet.balance, text, category,
        )  # fmt: skip
        self._records.add_entry(entry)

    def _wallet(self, order: Order, pair: Listed) -> Wallet:
        """The wallet an exchange order draws on."""
        return self._bank.wallet(order.user, "exchange", pair.quote if order.buys else pair.base)


def not_enough(order: Order, pair: Listed) -> Denied:
    kind = "exchange" if order.spot else "tradable"
    price = f" at {_said(order.price)}" if order.price else ""
    return Denied(
        10001,
        f"Invalid order: not enough {kind} balance for {_said(order.amount)} "
        f"{pair.base}{pair.quote}{price}",
    )


def _meta(trade: Trade) -> dict[str, object]:
    return {
        "reason": "TRADE", "order_id": trade.order, "trade_price": _said(trade.price),
        "trade_amount": _said(trade.amount), "order_cid": trade.cid,
    }  # fmt: skip


def _said(value: Decimal) -> str:
    return spell(float(value))
