"""How passwords are kept, and which are refused."""

from typing import Any

from django.contrib.auth.hashers import Argon2PasswordHasher
from django.core.exceptions import ValidationError

PRODUCT_WORDS = ("bfxdash", "bitfinex")


class Argon2(Argon2PasswordHasher):
    """OWASP ASVS 5.0, appendix C: 46 MiB a login. Django's 100 MiB on 8 lanes made 16 logins at
    once take 1.6 GiB."""

    time_cost = 2
    memory_cost = 47104
    parallelism = 1


class NoProductWords:
    """Refuses what somebody would try first on a dashboard of this name."""

    def validate(self, password: str, user: Any = None) -> None:
        bare = "".join(sign for sign in password.lower() if sign.isalpha())
        for word in PRODUCT_WORDS:
            bare = bare.replace(word, "")
        if len(bare) < 4 and any(word in password.lower() for word in PRODUCT_WORDS):
            raise ValidationError("This password is little more than the name of the product.")

    def get_help_text(self) -> str:
        return "Your password must not be the name of the product with some digits."
