"""Typed view of the settings that describe the exchange."""

from dataclasses import dataclass, field
from typing import Any, Literal, cast

from django.conf import settings

Mode = Literal["sandbox", "live"]


@dataclass(frozen=True, slots=True)
class Exchange:
    """Where the exchange is, and whose request budget we draw on.

    `public_rest` and `rest` are base addresses without a path, `public_ws` and `ws` whole socket
    addresses. `egress` names the IP address that the exchange sees; every process behind that
    address shares its budgets. `rates` replaces the documented rate table (see `market.limits`).
    """

    mode: Mode
    public_rest: str
    rest: str
    public_ws: str
    ws: str
    egress: str
    rates: dict[str, Any] = field(default_factory=dict)


def exchange() -> Exchange:
    """The exchange this process talks to."""
    return Exchange(
        mode=cast(Mode, settings.BFX_EXCHANGE),
        public_rest=settings.BFX_PUBLIC_REST_URL.rstrip("/"),
        rest=settings.BFX_REST_URL.rstrip("/"),
        public_ws=settings.BFX_PUBLIC_WS_URL,
        ws=settings.BFX_WS_URL,
        egress=settings.BFX_EGRESS,
        rates=settings.BFX_RATES,
    )
