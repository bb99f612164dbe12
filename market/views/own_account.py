"""What an account holds and did: wallets, positions, closed orders, own trades."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, Literal, NamedTuple, TypeVar

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from accounts import audit
from accounts.errors import AccountsError
from accounts.models import ApiKey
from accounts.stepup import step_up
from accounts.views.keys import person
from market import account
from market.bitfinex import currencies
from market.bitfinex.account import MAX_ROWS, Order, OwnTrade, Position, Wallet
from market.bitfinex.errors import ExchangeError
from market.bitfinex.symbols import PAPER_PREFIXES
from market.display import MINUS, NOTHING
from market.forms import PageForm
from market.listing import listing
from market.newest import newest_quotes
from market.rates import Prices, of_quotes, usd_rate
from market.views.budget import badge
from market.views.order_shown import OpenOrder, number, of_ms, usd
from market.views.own import readable_keys
from market.views.refusals import Refusal, refusal
from market.views.spreadsheet import csv_file

T = TypeVar("T")
Kind = Literal["orders", "trades"]
AWAY = (AccountsError, ExchangeError)
PAGE_ROWS = 50
WALLET_NAMES = {"exchange": "Exchange", "margin": "Margin", "funding": "Funding"}
READS: Mapping[Kind, Callable[..., list[Any]]] = {
    "orders": account.order_history,
    "trades": account.trades,
}


class WalletShown(NamedTuple):
    currency: str
    name: str
    balance: str
    available: str
    usd: str
    is_paper: bool


class PositionShown(NamedTuple):
    symbol: str
    label: str
    side: str
    amount: str
    base_price: str
    profit: str
    direction: str
    liquidation: str


@dataclass
class Part:
    """One answer of the exchange, or why there is none."""

    rows: Any = None
    problem: Refusal | None = None


@dataclass
class HistoryPage:
    """One page of time. `older` is the address of the next one, "" at the end."""

    form: PageForm
    key: ApiKey | None
    part: Part = field(default_factory=Part)
    older: str = ""
    is_later: bool = False


def ask(read: Callable[[], T]) -> Part:
    try:
        return Part(read())
    except AWAY as error:
        return Part(problem=refusal(error))


@require_safe
def wallets(request: HttpRequest) -> HttpResponse:
    user = person(request)
    keys = readable_keys(user)
    wanted = request.GET.get("key", "")
    key = next((key for key in keys if str(key.pk) == wanted), keys[0] if keys else None)
    context: dict[str, Any] = {"keys": keys, "key": key, "budget_badge": badge()}
    if key is not None:
        prices = of_quotes(newest_quotes())
        held = ask(partial(account.wallets, user=user, key=key))
        if held.rows is not None:
            context["total"] = total_usd(held.rows, prices)
            held.rows = by_type(held.rows, prices)
        open_positions = ask(partial(account.positions, user=user, key=key))
        if open_positions.rows is not None:
            open_positions.rows = [shown_position(each) for each in open_positions.rows]
        margin = ask(partial(account.margin_info, user=user, key=key))
        context |= {"held": held, "positions": open_positions, "margin": margin}
        context["margin_rows"] = margin_rows(margin.rows) if margin.rows is not None else []
    return render(request, "market/wallets.html", context)


def by_type(rows: Sequence[Wallet], prices: Prices) -> list[tuple[str, list[WalletShown]]]:
    """What is not empty: the kinds of wallet in the exchange's own order, the dearest first."""
    found: dict[str, list[Wallet]] = {name: [] for name in WALLET_NAMES}
    for wallet in rows:
        if wallet.balance:
            found.setdefault(wallet.type, []).append(wallet)

    def worth(wallet: Wallet) -> Decimal:
        return -abs(value_of(wallet, prices) or Decimal(0))

    return [
        (WALLET_NAMES.get(name, name), [shown_wallet(w, prices) for w in sorted(held, key=worth)])
        for name, held in found.items()
        if held
    ]


def value_of(wallet: Wallet, prices: Prices) -> Decimal | None:
    """In USD; paper money is worth nothing."""
    if wallet.currency.startswith(PAPER_PREFIXES):
        return None
    rate = usd_rate(wallet.currency, prices)
    return None if rate is None else wallet.balance * rate


def total_usd(rows: Sequence[Wallet], prices: Prices) -> str:
    """Of all whose rate is known."""
    values = (value_of(wallet, prices) for wallet in rows)
    return usd(sum((value for value in values if value is not None), Decimal(0)))


def shown_wallet(wallet: Wallet, prices: Prices) -> WalletShown:
    value = value_of(wallet, prices)
    return WalletShown(
        currencies.code(wallet.currency),
        currencies.name(wallet.currency),
        signed(wallet.balance),
        signed(wallet.available),
        NOTHING if value is None else usd(value),
        wallet.currency.startswith(PAPER_PREFIXES),
    )


def shown_position(each: Position) -> PositionShown:
    profit = each.pl
    return PositionShown(
        each.symbol,
        listing(each.symbol).label,
        "long" if each.amount > 0 else "short",
        number(each.amount),
        number(each.base_price),
        NOTHING if profit is None else f"{'+' if profit > 0 else ''}{usd(profit)}",
        "flat" if not profit else "up" if profit > 0 else "down",
        number(each.liquidation_price),
    )


def margin_rows(base: Any) -> list[tuple[str, str]]:
    found = [
        ("Net value", base.net),
        ("Required at least", base.minimum),
        ("Balance", base.balance),
        ("Profit or loss", base.profit_loss),
        ("Swaps", base.swaps),
    ]
    return [(name, f"{usd(value)} USD") for name, value in found if value is not None]


def signed(value: Decimal | None) -> str:
    return number(value) if value is None or value >= 0 else f"{MINUS}{number(value)}"


@require_safe
def history(request: HttpRequest, kind: Kind) -> HttpResponse:
    """Closed orders, or own trades, of one key; newest first, a page of time at once."""
    page = _page(request, kind, PAGE_ROWS)
    rows = page.part.rows or []
    show: Callable[[Any], Any] = closed_order if kind == "orders" else own_trade
    context = {
        "page": page,
        "kind": kind,
        "rows": [show(each) for each in rows],
        "query": _query(page),
        "budget_badge": badge(),
    }
    return render(request, "market/history.html", context)


@require_safe
@step_up
def history_csv(request: HttpRequest, kind: Kind) -> HttpResponse:
    """As many as the exchange gives at once, of the same key and pair."""
    page = _page(request, kind, MAX_ROWS)
    if page.part.rows is None:
        return redirect(reverse(f"market:{'order_history' if kind == 'orders' else 'own_trades'}"))
    rows = page.part.rows
    with transaction.atomic():
        data = {"what": kind, "rows": len(rows)}
        audit.record(audit.Tag.DATA_EXPORTED, actor=person(request), about=page.key, data=data)
    if kind == "orders":
        return csv_file("bfxdash-orders.csv", ORDER_HEAD, map(order_cells, rows))
    return csv_file("bfxdash-trades.csv", TRADE_HEAD, map(trade_cells, rows))


def _page(request: HttpRequest, kind: Kind, limit: int) -> HistoryPage:
    user = person(request)
    keys = readable_keys(user)
    form = PageForm(request.GET, keys=keys)
    found = form.cleaned_data if form.is_valid() else {}
    key = form.own_keys.get(found.get("key", "")) or (keys[0] if keys else None)
    page = HistoryPage(form, key, is_later=bool(found.get("before")))
    if key is None or form.errors:
        return page
    read = partial(
        READS[kind],
        user=user,
        key=key,
        symbol=found.get("symbol", ""),
        end=found.get("before") or None,
        limit=limit,
    )
    page.part = ask(read)
    rows = page.part.rows or []
    if len(rows) == limit:
        page.older = f"?{urlencode({**_fields(page), **_next(rows)})}"
    if rows:
        seen = set(map(int, filter(None, found.get("seen", "").split(","))))
        page.part.rows = [each for each in rows if each.id not in seen]
    return page


def _next(rows: Sequence[Any]) -> dict[str, str]:
    """The page after these ends with the moment of the last one, without what was shown of it."""
    last = min(map(moved_at, rows))
    if last == max(map(moved_at, rows)):
        return {"before": str(last - 1)}
    seen = (str(each.id) for each in rows if moved_at(each) == last)
    return {"before": str(last), "seen": ",".join(seen)}


def moved_at(row: Order | OwnTrade) -> int:
    """When, in ms since epoch: what the exchange pages by."""
    return row.mts_update if isinstance(row, Order) else row.mts


def _fields(page: HistoryPage) -> dict[str, str]:
    found = page.form.cleaned_data
    fields = {"key": str(page.key.pk) if page.key else "", "symbol": found.get("symbol", "")}
    return {name: value for name, value in fields.items() if value}


def _query(page: HistoryPage) -> str:
    return f"?{urlencode(_fields(page))}" if page.form.is_valid() else ""


def closed_order(order: Order) -> dict[str, Any]:
    shown = OpenOrder(order, None, None)
    return {
        "id": order.id,
        "cid": order.cid,
        "state": shown.state,
        "at": of_ms(order.mts_update),
        "label": shown.label,
        "side": order.side,
        "type": order.type,
        "amount": shown.original,
        "price": shown.price,
        "paid": number(order.price_avg) if order.price_avg else NOTHING,
        "status": order.status,
    }


def own_trade(trade: OwnTrade) -> dict[str, Any]:
    item = listing(trade.symbol)
    fee = NOTHING
    if trade.fee is not None:
        fee = f"{signed(trade.fee)} {currencies.code(trade.fee_currency or '')}".strip()
    return {
        "id": trade.id,
        "order_id": trade.order_id,
        "at": of_ms(trade.mts),
        "label": item.label,
        "side": "buy" if trade.amount > 0 else "sell",
        "amount": number(trade.amount),
        "price": number(trade.price),
        "total": number(trade.amount * trade.price),
        "fee": fee,
        "role": {1: "maker", -1: "taker"}.get(trade.maker or 0, NOTHING),
    }


ORDER_HEAD = (
    "order_id", "client_id", "symbol", "type", "amount", "filled", "price", "price_average",
    "status", "created_utc", "updated_utc",
)  # fmt: skip
TRADE_HEAD = (
    "trade_id", "order_id", "symbol", "amount", "price", "fee", "fee_currency", "maker",
    "time_utc",
)  # fmt: skip


def order_cells(order: Order) -> tuple[object, ...]:
    return (
        order.id,
        order.cid,
        order.symbol,
        order.type,
        order.amount_orig,
        order.filled,
        order.price,
        order.price_avg,
        order.status,
        _iso(of_ms(order.mts_create)),
        _iso(of_ms(order.mts_update)),
    )


def trade_cells(trade: OwnTrade) -> tuple[object, ...]:
    return (
        trade.id,
        trade.order_id,
        trade.symbol,
        trade.amount,
        trade.price,
        trade.fee,
        trade.fee_currency,
        trade.maker,
        _iso(of_ms(trade.mts)),
    )


def _iso(at: datetime | None) -> str:
    return "" if at is None else at.isoformat(timespec="milliseconds")
