"""Addresses of people, keys and second factors. Of allauth's pages only those that we use."""

from allauth.account import views as account
from allauth.mfa.base import views as factors
from allauth.mfa.recovery_codes import views as recovery
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as passkeys
from allauth.usersessions import views as sessions
from django.db.transaction import atomic
from django.urls import path, re_path

from accounts.views import account as own
from accounts.views import keys, own_data

app_name = "accounts"
urlpatterns = [
    path("account/", own.overview, name="overview"),
    path("account/confirm/", own.confirm, name="confirm"),
    path("account/data.json", own_data.data, name="data"),
    path("account/delete/", own_data.delete, name="delete"),
    path("account/email/", own_data.email, name="email"),
    path("account/email/<str:token>/", own_data.confirm_email, name="confirm_email"),
    path("account/trail/", own.trail, name="trail"),
    path("account/trail.csv", own.export, {"form": "csv"}, name="trail_csv"),
    path("account/trail.jsonl", own.export, {"form": "jsonl"}, name="trail_jsonl"),
    path("invitation/<str:token>/", own.invitation, name="invitation"),
    path("keys/", keys.key_list, name="keys"),
    path("keys/add/", keys.add_key, name="add_key"),
    path("keys/guide/", keys.guide, name="guide"),
    path("keys/halt/", keys.halt_keys, name="halt"),
    path("keys/leaked/", keys.leaked, name="leaked"),
    path("keys/states/", keys.key_states, name="key_states"),
    path("keys/<uuid:pk>/", keys.key_detail, name="key"),
    path("keys/<uuid:pk>/arm/", keys.arm_key, name="arm_key"),
    path("keys/<uuid:pk>/check/", keys.check_key, name="check_key"),
    path("keys/<uuid:pk>/confirm/", keys.confirm_key, name="confirm_key"),
    path("keys/<uuid:pk>/disarm/", keys.disarm_key, name="disarm_key"),
    path("keys/<uuid:pk>/policy/", keys.change_policy, name="policy"),
    path("keys/<uuid:pk>/revoke/", keys.revoke_key, name="revoke_key"),
]

# allauth looks its pages up by these names, so they stand outside the namespace. What changes a
# password or a factor is one transaction with its event.
login_urlpatterns = [
    path("login/", account.login, name="account_login"),
    path("logout/", account.logout, name="account_logout"),
    path("inactive/", account.account_inactive, name="account_inactive"),
    path("signup/", account.signup, name="account_signup"),
    path("password/", atomic(account.password_change), name="account_change_password"),
    path("password/reset/", account.password_reset, name="account_reset_password"),
    path("password/reset/sent/", account.password_reset_done, name="account_reset_password_done"),
    path(
        "password/reset/done/",
        account.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    re_path(
        r"^password/reset/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>[^/]+)/$",
        atomic(account.password_reset_from_key),
        name="account_reset_password_from_key",
    ),
    path("sessions/", atomic(sessions.list_usersessions), name="usersessions_list"),
    path("factors/", factors.index, name="mfa_index"),
    path("factors/login/", factors.authenticate, name="mfa_authenticate"),
    path("factors/app/add/", atomic(totp.activate_totp), name="mfa_activate_totp"),
    path("factors/app/remove/", atomic(totp.deactivate_totp), name="mfa_deactivate_totp"),
    path("factors/codes/", recovery.view_recovery_codes, name="mfa_view_recovery_codes"),
    path(
        "factors/codes/new/",
        atomic(recovery.generate_recovery_codes),
        name="mfa_generate_recovery_codes",
    ),
    path("factors/passkeys/", passkeys.list_webauthn, name="mfa_list_webauthn"),
    path("factors/passkeys/add/", atomic(passkeys.add_webauthn), name="mfa_add_webauthn"),
    path("factors/passkeys/login/", passkeys.login_webauthn, name="mfa_login_webauthn"),
    path("factors/passkeys/<int:pk>/", passkeys.edit_webauthn, name="mfa_edit_webauthn"),
    path(
        "factors/passkeys/<int:pk>/remove/",
        atomic(passkeys.remove_webauthn),
        name="mfa_remove_webauthn",
    ),
]
