"""Who gets what at every address of the site: the matrix of promise G11.

Roles: anon; bare (no second factor yet); bob (somebody else, with one); alice (the owner); staff
and superuser (with one, and in a session that has shown it); staff_bare (staff without one);
stale (the owner, whose last proof is older than five minutes). A cell is what a GET answers:

  200         the page
  login       to the login page
  enrol       to the page that adds a second factor
  confirm     to the page that asks for a fresh proof
  404         as if there were nothing
  405         there is no GET
  home        to somewhere harmless, because there is nothing to do here
"""

from uuid import UUID

INTENT = UUID("00000000-0000-4000-8000-00000000a11c")
"""An order of Alice's."""

ROLES = ("anon", "bare", "bob", "alice", "staff", "superuser", "staff_bare", "stale")


def row(*cells: str) -> dict[str, str]:
    return dict(zip(ROLES, cells, strict=True))


def everybody(cell: str) -> dict[str, str]:
    return dict.fromkeys(ROLES, cell)


OWN = row("login", "enrol", "200", "200", "200", "200", "enrol", "200")
FRESH = row("login", "enrol", "200", "200", "200", "200", "enrol", "confirm")
OF_ALICE = row("login", "enrol", "404", "200", "404", "404", "enrol", "200")
OF_ALICE_FRESH = row("login", "enrol", "404", "200", "404", "404", "enrol", "confirm")
OF_ALICE_POST = row("login", "enrol", "405", "405", "405", "405", "enrol", "405")
PANEL = row("login", "enrol", "404", "404", "200", "200", "enrol", "404")
NOWHERE = row("login", "enrol", "404", "404", "404", "404", "enrol", "404")
ENROLMENT = row("login", "200", "200", "200", "200", "200", "200", "200")
# Who has the app already is led to the page that removes it.
ADD_APP = row("login", "200", "home", "home", "home", "home", "200", "confirm")

# Nothing can be read with a key that the test's exchange does not know, so there is no file.
FRESH_BUT_EMPTY = row("login", "enrol", "home", "home", "home", "home", "enrol", "confirm")

MATRIX = {
    "healthz": everybody("200"),
    "readyz": everybody("503"),
    "metrics": everybody("200"),
    "market:tickers": everybody("200"),
    "market:about": everybody("200"),
    "market:symbols": everybody("200"),
    "market:history": everybody("200"),
    "market:curl": everybody("200"),
    "market:orders": OWN,
    "market:order_states": OWN,
    "market:new_order": OWN,
    "market:cancel_all": OWN,
    "market:cancel_orders": OF_ALICE_POST,
    "market:order_history": OWN,
    "market:own_trades": OWN,
    "market:orders_csv": FRESH_BUT_EMPTY,
    "market:trades_csv": FRESH_BUT_EMPTY,
    "market:wallets": OWN,
    "market:budget": OWN,
    "market:review": OF_ALICE,
    "market:order": {**OF_ALICE, "alice": "home", "stale": "home"},  # not confirmed: its review
    "market:order_state": OF_ALICE,
    "market:edit_order": OF_ALICE,
    "account_login": row("200", *["home"] * 7),
    "account_logout": row("home", *["200"] * 7),
    "account_inactive": everybody("200"),
    "account_signup": row("200", *["home"] * 7),
    "account_reset_password": everybody("200"),
    "account_reset_password_done": everybody("200"),
    "account_reset_password_from_key": everybody("200"),
    "account_reset_password_from_key_done": everybody("200"),
    "account_change_password": FRESH,
    "usersessions_list": FRESH,
    "mfa_index": ENROLMENT,
    "mfa_authenticate": everybody("home"),
    "mfa_login_webauthn": everybody("home"),
    "mfa_list_webauthn": ENROLMENT,
    "mfa_add_webauthn": {**ENROLMENT, "stale": "confirm"},
    "mfa_activate_totp": ADD_APP,
    "mfa_deactivate_totp": FRESH,
    "mfa_view_recovery_codes": row("login", "404", "200", "200", "200", "200", "404", "confirm"),
    "mfa_generate_recovery_codes": FRESH,
    "mfa_edit_webauthn": row("login", "enrol", "404", "200", "404", "404", "enrol", "confirm"),
    "mfa_remove_webauthn": row("login", "enrol", "404", "200", "404", "404", "enrol", "confirm"),
    "accounts:invitation": row("410", *["410"] * 7),
    "accounts:overview": ENROLMENT,
    "accounts:confirm": ENROLMENT,
    "accounts:data": FRESH,
    "accounts:delete": FRESH,
    # Without mail there are none of these; with it they are FRESH, and OWN.
    "accounts:email": NOWHERE,
    "accounts:confirm_email": NOWHERE,
    "accounts:trail": OWN,
    "accounts:trail_csv": FRESH,
    "accounts:trail_jsonl": FRESH,
    "accounts:keys": OWN,
    "accounts:key_states": OWN,
    "accounts:guide": OWN,
    "accounts:leaked": OWN,
    "accounts:halt": OWN,
    "accounts:add_key": FRESH,
    "accounts:key": OF_ALICE,
    "accounts:revoke_key": OF_ALICE,
    "accounts:policy": OF_ALICE_FRESH,
    "accounts:arm_key": OF_ALICE_FRESH,
    "accounts:confirm_key": {**OF_ALICE_FRESH, "alice": "home"},
    "accounts:check_key": OF_ALICE_POST,
    "accounts:disarm_key": OF_ALICE_POST,
    "admin:index": PANEL,
    "admin:halt": PANEL,
    "admin:invite": PANEL,
    "admin:accounts_apikey_changelist": PANEL,
    "admin:accounts_user_changelist": PANEL,
}
