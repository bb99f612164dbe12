"""The key page on the exchange's own port: forms in, redirects out."""

from collections.abc import Callable
from secrets import token_urlsafe

from aiohttp import web

from market.sandbox.calls import SCOPES, Permissions
from market.sandbox.faults import Outs
from market.sandbox.house import House
from market.sandbox.key_page import page
from market.sandbox.keys import Key

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


class KeyWeb:
    """`GET /keys`, `POST /keys`, `POST /keys/delete`."""

    def __init__(
        self,
        house: House,
        send: Callable[[Outs], None],
        now: Callable[[], float],
        keep: Callable[[], None],
    ) -> None:
        self._house, self._send, self._now, self._keep = house, send, now, keep
        self._fresh: dict[str, Key] = {}

    def add_routes(self, app: web.Application) -> None:
        app.router.add_get("/keys", self._page)
        app.router.add_post("/keys", self._make)
        app.router.add_post("/keys/delete", self._delete)

    async def _page(self, request: web.Request) -> web.Response:
        fresh = self._fresh.pop(request.query.get("new", ""), None)
        text = page(self._house.keys.all(), fresh)
        return web.Response(text=text, content_type="text/html", headers=_HEADERS)

    async def _make(self, request: web.Request) -> web.Response:
        _from_here(request)
        form = await request.post()
        permissions: Permissions = {}
        for scope in SCOPES:
            asked = form.getall(scope, [])
            permissions[scope] = [act for act in ("read", "write") if act in asked]
        now = self._now()
        user = self._house.bank.user(str(form.get("user", "")).strip() or "you", now)
        label = str(form.get("label", "")).strip()[:60]
        key = self._house.keys.issue(label, user.name, permissions, now)
        self._keep()
        once = token_urlsafe(16)
        self._fresh[once] = key
        return _see(f"/keys?new={once}")

    async def _delete(self, request: web.Request) -> web.Response:
        _from_here(request)
        text = str((await request.post()).get("key", ""))
        if self._house.keys.get(text):
            self._house.keys.delete(text)
            self._send(self._house.private.key_gone(text))
            self._keep()
        return _see("/keys")


def _from_here(request: web.Request) -> None:
    """A page elsewhere must not make or delete keys."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise web.HTTPForbidden(text="not from this page")


def _see(where: str) -> web.Response:
    return web.Response(status=303, headers={"Location": where})
