"""What is left of the exchange's request budgets."""

from math import ceil
from typing import NamedTuple

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from market import limiter
from market.bitfinex.errors import LimiterClosed
from market.limiter import Budget, State

PLACING = "auth/w/order/submit"
NAMES = {
    PLACING: "Placing orders",
    "auth/w/order/update": "Changing orders",
    "auth/w/order/cancel": "Cancelling an order",
    "auth/w/order/cancel/multi": "Cancelling several",
    "auth/r/orders": "Reading orders",
    "auth/r/order": "Trades of an order",
    "auth/r/trades": "Reading own trades",
    "auth/r/wallets": "Reading wallets",
    "auth/r/positions": "Reading positions",
    "auth/r/info/margin": "Reading margin",
    "auth/r/permissions": "Permissions of keys",
    "conf": "Configuration of pairs",
    "tickers": "Prices at the start",
}
LOW = 5  # requests left: the badge warns


class Badge(NamedTuple):
    """`tone` is `fine`, `low` or `none`."""

    tone: str
    text: str


class BudgetShown(NamedTuple):
    budget: Budget
    name: str
    kept: int
    used: int


def badge() -> Badge:
    """For the pages of orders: how many orders may still be placed this minute."""
    try:
        state = limiter.state()
    except LimiterClosed:
        return Badge("none", "Budget not known")
    return badge_of(state)


def badge_of(state: State) -> Badge:
    if state.blocked_for:
        return Badge("none", f"Blocked for {ceil(state.blocked_for)} s")
    placing = next((each for each in state.budgets if each.endpoint == PLACING), None)
    if placing is None:
        return Badge("fine", "Budget unused")
    tone = "none" if not placing.left else "low" if placing.left <= LOW else "fine"
    return Badge(tone, f"{placing.left} of {placing.limit} orders left")


@require_safe
def budget(request: HttpRequest) -> HttpResponse:
    try:
        state = limiter.state()
    except LimiterClosed:
        return render(request, "market/budget.html", {"state": None})
    rows = sorted(map(shown, state.budgets), key=_order)
    context = {"state": state, "rows": rows, "blocked_for": ceil(state.blocked_for)}
    return render(request, "market/budget.html", context)


def shown(each: Budget) -> BudgetShown:
    kept = each.left_urgent - each.left
    used = each.limit - each.left_urgent
    return BudgetShown(each, NAMES.get(each.endpoint, each.endpoint), kept, used)


def _order(row: BudgetShown) -> tuple[int, str]:
    """Orders first."""
    known = list(NAMES)
    place = known.index(row.budget.endpoint) if row.budget.endpoint in known else len(known)
    return place, row.budget.endpoint
