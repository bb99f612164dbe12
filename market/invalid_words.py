"""Why an order is not one that the exchange takes, in words for whoever typed it. No I/O."""

from market.bitfinex.orders import MAX_LEVERAGE

NAMES = {
    "price": "a price",
    "price_trailing": "a trailing distance",
    "price_aux_limit": "a limit after the stop",
    "price_oco_stop": "a stop of the other order",
}
REASONS = {
    "kind": "This value cannot be read.",
    "not positive": "More than nothing, please.",
    "zero": "More than nothing, please.",
    "not finite": "A plain number, please.",
    "decimals": "Bitfinex takes at most eight decimals.",
    "digits": "Bitfinex takes five significant digits of a price.",
    "range": "This number is too large.",
    "not utc": "Times are in UTC.",
    "margin only": "Reduce only and close position are for margin orders: choose a type without "
    "EXCHANGE, or leave them out.",
    "limit only": "Post only and one-cancels-the-other are for limit orders: choose LIMIT, or "
    "leave them out.",
    "derivatives only": "Leverage is for margin orders of derivatives (like tBTCF0:USTF0): leave "
    "it empty.",
}


def invalid_words(field: str, reason: str) -> str:
    """Words for an `OrderInvalid`, with what to do."""
    name = NAMES.get(field, f"this field ({field})")
    if reason == "missing":
        return f"This type of order needs {name}."
    if reason == "unexpected":
        return f"This type of order has no use for {name}: leave it empty."
    if reason == "unknown":
        return "Bitfinex does not know this value."
    if (field, reason) == ("leverage", "range"):
        return f"From 1 to {MAX_LEVERAGE}."
    return REASONS.get(reason, f"Bitfinex does not take this ({reason}).")
