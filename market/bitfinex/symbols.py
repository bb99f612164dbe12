"""Names of what is traded: `tBTCUSD` and `tAVAX:USD` are pairs, `fUSD` is a funding currency."""

import re
from collections.abc import Collection, Iterable

PAPER_PREFIXES = ("TEST", "AAA", "BBB")
_SYMBOL = re.compile(r"[tf][A-Z0-9:]{3,30}")


def is_symbol(text: str) -> bool:
    """Whether this may be sent to the exchange as a symbol at all."""
    return _SYMBOL.fullmatch(text) is not None


def is_funding(symbol: str) -> bool:
    return symbol.startswith("f")


def trading_symbols(pairs: Iterable[str]) -> list[str]:
    """Symbols of the exchange's own list of pairs, which has no `t`; unfit names are left out."""
    return [symbol for pair in pairs if is_symbol(symbol := f"t{pair}")]


def split_pair(symbol: str, currencies: Collection[str] = ()) -> tuple[str, str]:
    """Base and quote of a trading symbol: at the colon, else where the exchange's list of
    currencies allows, else after three letters.

    Length alone is no rule: the real list has `BTC:CNHT` beside `AAABBB` (recorded 2021).
    """
    pair = symbol[1:]
    if ":" in pair:
        base, _, quote = pair.partition(":")
        return base, quote
    middle_first = sorted(range(1, len(pair)), key=lambda cut: (cut != 3, cut))
    for cut in middle_first:
        if pair[:cut] in currencies and pair[cut:] in currencies:
            return pair[:cut], pair[cut:]
    return pair[:3], pair[3:]


def is_paper(symbol: str) -> bool:
    """Whether this is one of the exchange's paper trading markets."""
    legs = (symbol[1:], "") if is_funding(symbol) else split_pair(symbol)
    return any(leg.startswith(PAPER_PREFIXES) for leg in legs)
