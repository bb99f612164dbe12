"""What a connection passes before an application sees it: its true address, and its origin."""

import ipaddress
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

DEFAULT_PORTS = {"http": 80, "https": 443}


def trusted_proxies(application: Application, proxies: int) -> Application:
    """Put the browser's address into `scope["client"]` when `proxies` of our own stand before us.

    Each proxy appends the address it saw to X-Forwarded-For, so the browser's is the `proxies`-th
    from the right; what stands left of it is the browser's own invention.
    """

    async def behind_proxies(scope: Scope, receive: Receive, send: Send) -> None:
        address = forwarded_address(scope.get("headers", []), proxies)
        if address is not None:
            scope = {**scope, "client": [address, 0]}
        await application(scope, receive, send)

    return behind_proxies if proxies else application


def forwarded_address(headers: Iterable[tuple[bytes, bytes]], proxies: int) -> str | None:
    """The `proxies`-th address from the right, None unless it is a plain IP address."""
    values = [value for name, value in headers if name == b"x-forwarded-for"]
    hops = [hop.strip() for hop in b",".join(values).decode("latin1").split(",")]
    if len(hops) < proxies:
        return None
    try:
        return str(ipaddress.ip_address(hops[-proxies]))
    except ValueError:
        return None


def exact_origin(application: Application, origins: Iterable[str]) -> Application:
    """Refuse every WebSocket whose one Origin header is not literally one of `origins`.

    Stricter than Channels' validators, which compare host names: AllowedHostsOriginValidator
    takes any scheme and port, and OriginValidator forgives paths and user names.
    """
    allowed = {serialized(origin).encode() for origin in origins}

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        named = [value for name, value in scope["headers"] if name == b"origin"]
        if len(named) == 1 and named[0] in allowed:
            await application(scope, receive, send)
        else:
            await refuse(scope, receive, send)

    return guarded


def serialized(origin: str) -> str:
    """The origin as a browser writes it: lower case, without the scheme's own port."""
    parts = urlsplit(origin.lower())
    if parts.port is not None and parts.port == DEFAULT_PORTS.get(parts.scheme):
        return f"{parts.scheme}://{parts.netloc.rpartition(':')[0]}"
    return f"{parts.scheme}://{parts.netloc}"


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer the handshake with 403."""
    await receive()
    await send({"type": "websocket.close"})
