"""G2 on the real servers: no secret in a page, a frame, a mail, a session, the cache or a log."""

import json
import secrets
import time
from collections.abc import Iterator
from decimal import Decimal
from urllib.parse import urlsplit

import pytest
import requests

from tests.accounts.visitors import Visitor, setup_link
from tests.faults.traces import Texts, ask, everything_kept, files, hits, mails
from tests.sockets import Browser

PASSWORD = f"CANARY-{secrets.token_urlsafe(24)}"
SCOPES = {"account": ["read"], "orders": ["read", "write"], "wallets": ["read"]}


@pytest.fixture
def site(start_dashboard, exchange_server, tmp_path):
    for name in ("tmp", "mails"):
        (tmp_path / name).mkdir()
    more = {"EMAIL_URL": f"filemail:///{tmp_path / 'mails'}", "TMPDIR": str(tmp_path / "tmp")}
    # Not forked: its environment and command line shall be what the system shows of it.
    dashboard = start_dashboard(exchange_server, forked=False, LOG_LEVEL="DEBUG", **more)
    dashboard.wait_ready()
    return dashboard


@pytest.fixture
def visitors() -> Iterator[list[Visitor]]:
    found = [Visitor() for _ in range(3)]
    yield found
    for each in found:
        each.close()


def issue(exchange) -> dict[str, str]:
    answer = requests.post(f"{exchange.control}/keys", json={"permissions": SCOPES}, timeout=5)
    return {"api_key": answer.json()["key"], "api_secret": answer.json()["secret"]}


def add_well_and_badly(dora: Visitor, late: Visitor, site, pairs: dict[str, dict[str, str]]) -> str:
    """Every way in which a secret comes to the server; returns the address of the good key."""
    add = f"{site.url}/keys/add/"
    good = dora.fill(add, label="good", terms="on", **pairs["good"]).url
    assert "/keys/add/" not in good
    assert "already stored" in dora.post_form(add, label="again", terms="on", **pairs["good"]).text
    wrong = dora.post_form(add, label="wrong", terms="on", **pairs["wrong"])
    assert "does not accept" in wrong.text
    assert "required" in dora.post_form(add, label="", terms="", **pairs["good"]).text
    malformed = {"api_key": "short", "api_secret": pairs["good"]["api_secret"]}
    assert "does not look like" in dora.post_form(add, label="bad", terms="on", **malformed).text
    assert dora.post(add, data=pairs["good"], timeout=20).status_code == 403  # without a token
    answer = late.post_form(add, f"{site.url}/keys/", label="late", terms="on", **pairs["good"])
    assert answer.status_code == 403
    ask(site, "ALTER TABLE accounts_audithead RENAME TO elsewhere")
    try:
        broken = dora.post_form(add, label="broken", terms="on", **pairs["lost"])
        assert broken.status_code == 503  # by the handler of all exceptions
    finally:
        ask(site, "ALTER TABLE elsewhere RENAME TO accounts_audithead")
    return good


def trade(dora: Visitor, url: str, exchange, key: str) -> None:
    """An order that rests, and is seen on every page that shows orders."""
    last = Decimal(str(requests.get(f"{exchange.url}/v2/ticker/tBTCUSD", timeout=5).json()[6]))
    order = {"side": "buy", "order_type": "EXCHANGE LIMIT", "amount": "0.001"}
    order |= {"key": key, "symbol": "tBTCUSD", "price": f"{last * Decimal('0.9'):.0f}"}
    review = dora.fill(f"{url}/orders/new/", **order).url
    assert "/orders/review/" in review
    assert "/orders/review/" not in dora.fill(review).url
    shown = dora.page(f"{url}/orders/").text
    assert order["price"] in shown.replace(",", "")
    paths = ["/orders/states/", "/orders/history/", "/orders/trades/", "/wallets/", "/budget/"]
    look_everywhere(dora, url, *paths, "/orders/history.csv", "/orders/trades.csv")


def look_everywhere(person: Visitor, url: str, *paths: str) -> None:
    for path in paths:
        answer = person.page(path if path.startswith("http") else f"{url}{path}")
        assert answer.status_code == 200, path


def revoke_in_the_panel(boss: Visitor, url: str) -> None:
    panel = f"{url}/admin/apikeys/"
    page = boss.page(f"{panel}?q=good").text
    pk = page.split('name="_selected_action" value="')[1].split('"')[0]
    chosen = {"action": "revoke", "_selected_action": pk}
    assert "Reason" in boss.fill(panel, **chosen).text
    told = boss.fill(panel, **chosen, confirmed="yes", reason="seen on a paste site").text
    assert "Revoked: good" in told


def test_g02_no_secret_leaves_the_real_servers(site, exchange_server, visitors, tmp_path):
    boss, dora, late = visitors
    pairs = {name: issue(exchange_server) for name in ("good", "wrong", "lost")}
    pairs["wrong"]["api_secret"] = f"CANARY-{secrets.token_urlsafe(32)}"
    new = {"password1": PASSWORD, "password2": PASSWORD, "email": "somebody@example.org"}
    boss.fill(setup_link(site), username="boss", **new)
    link = boss.fill(f"{site.url}/admin/invite/").text.split("data-invitation>")[1].split("<")[0]
    dora.fill(link, username="dora", **new)
    seed = dora.add_app(site.url)
    late.fill(f"{site.url}/account/login/", login="boss", password=PASSWORD)
    late.post_form(f"{site.url}/account/login/", login="dora", password=f"{PASSWORD}x")
    port = urlsplit(site.urls[-1]).port
    assert port
    public = Browser(port, Origin=site.urls[-1]).shake_hands()
    dora.sockets.append(public)
    private = dora.socket(site.urls[-1])
    time.sleep(0.5)  # until it has joined its groups

    good = add_well_and_badly(dora, late, site, pairs)
    dora.fill(f"{good}check/", good)
    limits = {"largest_order": "2500", "day_total": "10000", "price_band": "20"}
    dora.fill(f"{good}policy/", **limits)
    dora.fill(f"{good}arm/")
    trade(dora, site.url, exchange_server, good.rstrip("/").rpartition("/")[2])
    own = ["/keys/", "/keys/states/", "/keys/leaked/", "/keys/guide/", "/keys/halt/", "/account/"]
    own += ["/account/trail/", "/account/trail.csv", "/account/trail.jsonl", "/account/sessions/"]
    own += ["/account/data.json", "/account/email/", "/account/delete/"]
    look_everywhere(dora, site.url, good, f"{good}policy/", f"{good}revoke/", *own)
    revoke_in_the_panel(boss, site.url)
    look_everywhere(boss, site.url, "/admin/", "/admin/apikeys/", "/admin/users/", "/account/")
    look_everywhere(dora, site.url, good, *own)
    private.until(lambda: {"changed": "keys"} in private.messages)
    public.next()
    exported = site.manage("export", "audit", "export", "--format", "csv")
    assert exported.process.wait(60) == 0

    texts: Texts = everything_kept(site) | mails(tmp_path / "mails")
    texts |= files(tmp_path / "tmp")
    assert "is deleted" in dora.fill(f"{site.url}/account/delete/", username="dora").text
    look_everywhere(boss, site.url, "/admin/apikeys/", "/admin/users/")
    frames = {"frames": json.dumps([private.messages, public.messages]).encode()}
    pages = {f"page {n}": text for n, text in enumerate(b for v in visitors for b in v.heard)}
    found = {name: hits(text, texts | frames | pages) for name, text in named(pairs).items()}
    assert found == {name: [] for name in found}
    assert hits(seed, texts | frames) == []
    assert_the_places_are_full(texts, pages)
    size = sum(map(len, (texts | frames | pages).values()))
    print(json.dumps({"pages": len(pages), "other places": len(texts), "bytes": size}))


def named(pairs: dict[str, dict[str, str]]) -> dict[str, str]:
    secrets_used = {f"{name} {part}": pairs[name][part] for name in pairs for part in pairs[name]}
    return secrets_used | {"password": PASSWORD}


def assert_the_places_are_full(texts: Texts, pages: Texts) -> None:
    """Else nothing would be found because nothing is there."""
    found = {name.split()[0]: b"" for name in texts}
    for name, text in texts.items():
        found[name.split()[0]] += text
    assert b"Service Unavailable: /keys/add/" in found["web.log"]
    assert b"Traceback" in found["web.log"]
    assert b"_auth_user_id" in found["session"]
    assert b"revoked by an administrator" in found["mail"]
    assert b"key.revoked" in found["export.log"]
    assert len(found["cache"]) > 100
    assert sum(b"BFX_DATA_DIR" in text for name, text in found.items() if "environ" in name) > 0
    assert sum(b">good" in text for text in pages.values()) > 5
