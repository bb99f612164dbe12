"""The page on which the exchange issues API keys: HTML from what is known, no I/O."""

from html import escape

from market.sandbox.calls import SCOPES
from market.sandbox.keys import Key

_STYLE = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { max-width: 46rem; margin: 0 auto; padding: 1rem; }
.invented { border: 2px solid; padding: .5rem 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: start; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #8888; }
td { overflow-wrap: anywhere; }
label { display: inline-block; padding: .25rem 0; }
input, button { font: inherit; padding: .25rem .5rem; }
code { overflow-wrap: anywhere; }
"""

_USUAL = {"account": "r", "history": "r", "orders": "rw", "positions": "r", "wallets": "r"}
_MEANING = {
    "account": "Account information",
    "history": "Account history",
    "orders": "Orders",
    "positions": "Margin positions",
    "funding": "Margin funding",
    "settings": "Settings",
    "wallets": "Wallets",
    "withdraw": "Withdrawals",
    "ui_withdraw": "Withdrawals in the web interface",
    "bfxpay": "Bitfinex Pay",
}


def page(keys: list[Key], fresh: Key | None = None) -> str:
    """All keys, the form for one more and, only this once, the secret of a fresh one."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="referrer" content="no-referrer">
<title>API keys · Sandbox exchange</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>API keys of the sandbox exchange</h1>
<p class="invented"><strong>Invented money.</strong> This is not Bitfinex. Prices, balances and
orders here are made up; keys made here work nowhere else.</p>
{_fresh(fresh) if fresh else ""}
{_form()}
{_list(keys)}
</main>
</body>
</html>
"""


def _fresh(key: Key) -> str:
    return f"""<section aria-labelledby="fresh">
<h2 id="fresh">Your new key</h2>
<p>Copy both now. The secret is shown this once and never again.</p>
<dl>
<dt>API key</dt><dd><code data-new-key>{escape(key.key)}</code></dd>
<dt>API secret</dt><dd><code data-new-secret>{escape(key.secret)}</code></dd>
</dl>
</section>"""


def _form() -> str:
    rows = "\n".join(_row(scope) for scope in SCOPES)
    return f"""<h2>Make a key</h2>
<form method="post" action="/keys">
<p><label for="label">Label</label><br>
<input id="label" name="label" maxlength="60" autocomplete="off"></p>
<p><label for="user">Account</label><br>
<input id="user" name="user" value="you" maxlength="40" required autocomplete="off">
<br><small>Another name is another customer, with money of his own.</small></p>
<table>
<caption>Permissions</caption>
<thead><tr><th scope="col">Scope</th><th scope="col">Read</th><th scope="col">Write</th></tr>
</thead>
<tbody>
{rows}
</tbody>
</table>
<p><button type="submit">Make key</button></p>
</form>"""


def _row(scope: str) -> str:
    boxes = "".join(
        f'<td><input type="checkbox" name="{scope}" value="{act}" '
        f'aria-label="{_MEANING[scope]}: {act}"'
        f"{' checked' if act[0] in _USUAL.get(scope, '') else ''}></td>"
        for act in ("read", "write")
    )
    return f'<tr><th scope="row">{_MEANING[scope]} <small>({scope})</small></th>{boxes}</tr>'


def _list(keys: list[Key]) -> str:
    if not keys:
        return "<h2>Keys</h2>\n<p>There are none yet.</p>"
    rows = "\n".join(
        f"<tr><td>{escape(key.label) or '(no label)'}</td><td>{escape(key.user)}</td>"
        f"<td><code>{escape(key.key[:4])}…{escape(key.key[-4:])}</code></td>"
        f"<td>{escape(_said(key))}</td>"
        f'<td><form method="post" action="/keys/delete">'
        f'<input type="hidden" name="key" value="{escape(key.key)}">'
        f'<button type="submit" aria-label="Delete key {escape(key.label)} {escape(key.key[-4:])}">'
        "Delete</button></form></td></tr>"
        for key in keys
    )
    return f"""<h2>Keys</h2>
<table>
<thead><tr><th scope="col">Label</th><th scope="col">Account</th><th scope="col">Key</th>
<th scope="col">Permissions</th><th scope="col">Delete</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>"""


def _said(key: Key) -> str:
    return ", ".join(
        f"{scope} {'+'.join(acts)}" for scope, acts in key.permissions.items() if acts
    ) or "none"  # fmt: skip
