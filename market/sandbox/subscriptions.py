"""What a subscription asks for, and how the exchange says it back."""

from typing import Any

from market.sandbox.topics import Refused, Topic


def read_topic(message: dict[str, Any]) -> Topic:
    """The channel a subscription asks for; raises Refused(text, code)."""
    channel = message.get("channel")
    if not isinstance(channel, str):
        raise Refused("channel: unknown", 10302)
    if channel in ("candles", "status"):
        return Topic(channel, str(message.get("key", "")))
    if channel not in ("ticker", "trades", "book"):
        raise Refused("channel: unknown", 10300)
    symbol = str(message.get("symbol") or message.get("pair") or "")
    if not symbol.startswith(("t", "f")):
        symbol = f"t{symbol}"
    if channel != "book":
        return Topic(channel, symbol)
    asked = (str(message.get(key, usual)) for key, usual in _BOOK_FIELDS)
    return Topic(channel, symbol, *asked)


_BOOK_FIELDS = (("prec", "P0"), ("freq", "F0"), ("len", "25"))


def pair_field(topic: Topic) -> dict[str, str]:
    """`pair`, or `currency` of a funding symbol, as acknowledgements and errors say it."""
    if topic.channel in ("candles", "status"):
        return {}
    return {"currency" if topic.key.startswith("f") else "pair": topic.key[1:]}


def ack_fields(topic: Topic) -> dict[str, str]:
    """What an acknowledgement says of a channel."""
    if topic.channel in ("candles", "status"):
        return {"key": topic.key}
    fields = {"symbol": topic.key}
    if topic.channel == "book":
        fields |= {"prec": topic.prec, "freq": topic.freq, "len": topic.length}
    return fields | pair_field(topic)
