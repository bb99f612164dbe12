"""What people type. A form checks shape; what may be done is decided by the use cases."""

import re
from decimal import Decimal
from typing import Any, ClassVar

from allauth.account.adapter import get_adapter as people_adapter
from allauth.core import context, ratelimit
from allauth.mfa.adapter import get_adapter as factors_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.totp.internal.auth import SECRET_SESSION_KEY, TOTP, generate_totp_secret
from allauth.mfa.utils import decrypt, encrypt
from django import forms
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from accounts.keys import LABEL_LENGTH
from accounts.models import HaltLevel, User
from accounts.policy import SYMBOL, KeyPolicy, plain

PLAIN_DECIMAL = re.compile(r"[0-9]{1,12}(\.[0-9]{1,18})?")
SECRET = {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}


class EnrolTotpForm(ActivateTOTPForm):  # type: ignore[misc]
    """allauth's form, but the seed waits sealed in the session until its first code is right."""

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        forms.Form.__init__(self, *args, **kwargs)
        self.user = user
        session = context.request.session
        if not self.is_bound or SECRET_SESSION_KEY not in session:
            session[SECRET_SESSION_KEY] = encrypt(generate_totp_secret())
        self.secret = decrypt(session[SECRET_SESSION_KEY])

    def clean_code(self) -> str:
        """The first code works once as all others do."""
        code: str = super().clean_code()
        if not TOTP(Authenticator(user=self.user))._mark_code_used(code):
            raise factors_adapter().validation_error("incorrect_code")
        return code


class AccountForm(forms.Form):
    """A new account, through an invitation."""

    username = forms.CharField(
        min_length=3, max_length=60, widget=forms.TextInput(attrs={"autocomplete": "username"})
    )
    email = forms.EmailField(
        label="E-mail",
        required=False,
        help_text="Optional: for notices, and to reset a forgotten password.",
    )
    password1 = forms.CharField(
        label="Password",
        max_length=256,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="At least 12 characters; several words are best.",
    )
    password2 = forms.CharField(
        label="Password again",
        max_length=256,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def clean_username(self) -> str:
        name: str = people_adapter().clean_username(self.cleaned_data["username"])
        return name.lower()

    def clean(self) -> dict[str, Any]:
        found = self.cleaned_data
        password = found.get("password1", "")
        if password != found.get("password2", password):
            self.add_error("password2", "The two passwords differ.")
        if password:
            user = User(username=found.get("username", ""), email=found.get("email", ""))
            try:
                validate_password(password, user)
            except ValidationError as error:
                self.add_error("password1", error)
        return found


class PasswordProofForm(forms.Form):
    """The proof of an account that has no second factor."""

    password = forms.CharField(
        max_length=256,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        if not ratelimit.consume(context.request, action="reauthenticate", user=self.user):
            raise ValidationError("Too many attempts. Wait a minute.")
        if not people_adapter().reauthenticate(self.user, password):
            raise ValidationError("This is not the password of your account.")
        return password


class KeyForm(forms.Form):
    """A key of the exchange. What was typed here is never shown again, not even after an error."""

    label = forms.CharField(
        label="Label",
        max_length=LABEL_LENGTH,
        help_text="A name for you alone, like “trading, from home”.",
    )
    api_key = forms.CharField(
        label="API key", max_length=400, strip=False, widget=forms.PasswordInput(attrs=SECRET)
    )
    api_secret = forms.CharField(
        label="API secret", max_length=400, strip=False, widget=forms.PasswordInput(attrs=SECRET)
    )
    terms = forms.BooleanField(label="I use this key under the Bitfinex API terms")


class StrictDecimalField(forms.CharField):
    """Digits and one point, nothing else: Django's own field takes 1_000, １２３ and 1e5."""

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value) or ""
        if not PLAIN_DECIMAL.fullmatch(text):
            raise ValidationError("A plain number like 1250 or 0.5, please.")
        return Decimal(text)


class PolicyForm(forms.Form):
    """What this dashboard may do with a key."""

    symbols = forms.CharField(
        label="Allowed symbols",
        required=False,
        max_length=2000,
        help_text="Like tBTCUSD tETHUSD; empty allows all.",
    )
    largest_order = StrictDecimalField(label="Largest order, in USD")
    day_total = StrictDecimalField(label="All orders of a day, in USD")
    price_band = StrictDecimalField(
        label="Price band, in percent",
        help_text="How far above the last price a limit buy may lie, and how far below it a limit "
        "sell. A better price is always allowed.",
    )
    orders_a_minute = forms.IntegerField(
        label="Orders a minute",
        required=False,
        min_value=1,
        max_value=90,
        help_text="Empty: as fast as the exchange allows.",
    )

    HUNDRED: ClassVar = Decimal(100)

    @classmethod
    def showing(cls, policy: KeyPolicy) -> "PolicyForm":
        return cls(
            initial={
                "symbols": " ".join(policy.symbols),
                "largest_order": plain(policy.largest_order),
                "day_total": plain(policy.day_total),
                "price_band": plain(policy.price_band * cls.HUNDRED),
                "orders_a_minute": policy.orders_a_minute,
            }
        )

    def clean_symbols(self) -> tuple[str, ...]:
        symbols = tuple(re.split(r"[\s,]+", self.cleaned_data["symbols"].strip()))
        wrong = [symbol for symbol in symbols if symbol and not SYMBOL.fullmatch(symbol)]
        if wrong:
            raise ValidationError(f"Not a symbol of the exchange: {wrong[0]}")
        return tuple(filter(None, symbols))

    def clean(self) -> dict[str, Any]:
        for name in ("largest_order", "day_total", "price_band"):
            if self.cleaned_data.get(name) == 0:
                self.add_error(name, "More than nothing, please.")
        return self.cleaned_data

    @property
    def policy(self) -> KeyPolicy:
        """Of a valid form."""
        fields = dict(self.cleaned_data)
        fields["price_band"] /= self.HUNDRED
        return KeyPolicy(**fields)


class ReasonForm(forms.Form):
    reason = forms.CharField(label="Reason", max_length=200, help_text="Kept in the audit trail.")


class RevokeForm(ReasonForm):
    cancel_orders = forms.BooleanField(
        label="Cancel its open orders first",
        required=False,
        help_text="Best effort, ten seconds at most; then the key is wiped in any case.",
    )
    burn = forms.BooleanField(
        label="Burn its nonces",
        required=False,
        help_text="For a key that leaked: one last request with the largest number there is. By "
        "Bitfinex’s written rule it takes no other request of this key afterwards, whoever sends "
        "it, other programs of yours too. Tried on the sandbox only: delete the key there anyway.",
    )


class EmailForm(forms.Form):
    email = forms.EmailField(
        label="E-mail address",
        required=False,
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
        help_text="For notices, and to reset a forgotten password. Empty removes it.",
    )


class DeleteAccountForm(forms.Form):
    """Typed, so that it is not done by a slip."""

    username = forms.CharField(label="Your username", max_length=60)
    cancel_orders = forms.BooleanField(
        label="Cancel the open orders of every key first",
        required=False,
        help_text="Best effort, ten seconds a key at most; then the key is wiped in any case.",
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_username(self) -> str:
        typed: str = self.cleaned_data["username"].strip()
        if typed != self.user.username:
            raise ValidationError("This is not the name of your account.")
        return typed


class HaltForm(ReasonForm):
    """A stop, or its release."""

    level = forms.TypedChoiceField(
        label="Stop",
        choices=[
            (HaltLevel.ORDERS.value, "New orders (cancelling still works)"),
            (HaltLevel.SIGNING.value, "All signing"),
            (HaltLevel.NONE.value, "Nothing: release the halt"),
        ],
        coerce=lambda text: HaltLevel(int(text)),
        widget=forms.RadioSelect,
        initial=HaltLevel.ORDERS.value,
    )
