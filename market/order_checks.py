"""What an order is worth, whether the policy of its key allows it, and what its owner should look
at twice before he confirms it. No I/O.

Deviations are adverse: a buy above the last price, a sale below it. The other way round an order
rests in the book and harms nobody.
"""

from decimal import Decimal
from typing import Literal, NamedTuple

from accounts.policy import KeyPolicy
from market.bitfinex.orders import Flag, NewOrder
from market.bitfinex.symbols import split_pair
from market.order_errors import OrderRefused
from market.rates import Price, Prices, usd_rate

FAR = Decimal("0.05")  # an adverse deviation that asks for a second confirmation
STALE_SECONDS = 10
ANY_PRICE = frozenset({"MARKET", "STOP", "TRAILING STOP"})
LIMITED = frozenset({"LIMIT", "FOK", "IOC"})  # never worse than their price
UNKNOWN = Price(None, None, None)

Concern = Literal["far", "stale", "no_price", "market_impact"]


class Review(NamedTuple):
    """What the review page says: the order's worth in USD, how far its price lies on the adverse
    side of the last one (a fraction, at most 0 when it does not), and what to look at twice."""

    value: Decimal
    deviation: Decimal | None
    concerns: list[Concern]


def check(order: NewOrder, policy: KeyPolicy, prices: Prices) -> Decimal:
    """The order's value in USD. Raises `OrderRefused` for what the policy forbids, and for what
    cannot be computed for lack of a price."""
    if policy.symbols and order.symbol not in policy.symbols:
        raise OrderRefused("symbol", symbol=order.symbol)
    value = value_of(order, prices)
    if value > policy.largest_order:
        raise OrderRefused("largest_order", limit=policy.largest_order, value=value)
    away = deviation(order, prices)
    if away is not None and away > policy.price_band:
        last = prices[order.symbol].last or Decimal(0)
        raise OrderRefused("price_band", limit=policy.price_band, away=away, last=last)
    return value


def value_of(order: NewOrder, prices: Prices) -> Decimal:
    """In USD, at the worst price that the order may trade at as far as that is known. Raises
    `OrderRefused`."""
    price = prices.get(order.symbol, UNKNOWN)
    if price.last is None:
        raise OrderRefused("no_price", symbol=order.symbol)
    _, quote = split_pair(order.symbol)
    rate = usd_rate(quote, prices)
    if rate is None:
        raise OrderRefused("no_rate", currency=quote)
    return order.amount * worst_price(order, price) * rate


def worst_price(order: NewOrder, price: Price) -> Decimal:
    """A limit alone bounds what a buyer pays. A seller may get more than his limit, and a stop may
    trade beyond its trigger, also the one beside a limit (OCO), so there the market counts too."""
    limit = limit_of(order)
    if order.side == "buy" and limit is not None and order.price_oco_stop is None:
        return limit
    trigger = price.last + order.price_trailing if price.last and order.price_trailing else None
    named = (limit, order.price, order.price_oco_stop, trigger, price.bid, price.ask, price.last)
    return max(each for each in named if each is not None)


def limit_of(order: NewOrder) -> Decimal | None:
    """The price beyond which it does not trade, None for an order that takes any."""
    if order.basic_type == "STOP LIMIT":
        return order.price_aux_limit
    return order.price if order.basic_type in LIMITED else None


def deviation(order: NewOrder, prices: Prices) -> Decimal | None:
    """How far the limit lies on the adverse side of the last price, as a fraction of it; negative
    on the other side, None where there is no limit or no price. A stop limit is measured from its
    own trigger: by then the price will be there."""
    limit, last = limit_of(order), prices.get(order.symbol, UNKNOWN).last
    if order.basic_type == "STOP LIMIT":
        last = order.price
    if limit is None or not last:
        return None
    away = (limit - last) / last
    return away if order.side == "buy" else -away


def review(order: NewOrder, value: Decimal, prices: Prices, age: float | None) -> Review:
    """`age`: seconds since the price was last known to be true, None when it is not."""
    away = deviation(order, prices)
    concerns: list[Concern] = []
    if age is None:
        concerns.append("no_price")
    elif age > STALE_SECONDS:
        concerns.append("stale")
    if away is not None and away > FAR:
        concerns.append("far")
    if order.basic_type in ANY_PRICE or Flag.OCO in order.flags:
        concerns.append("market_impact")
    return Review(value, away, concerns)
