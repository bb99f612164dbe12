import pytest
from django.conf import settings as project
from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError


def test_passwords_are_kept_with_argon2_of_46_mib_and_one_lane(settings):
    """H1."""
    settings.PASSWORD_HASHERS = project.PASSWORD_HASHERS = ["accounts.passwords.Argon2"]
    kept = make_password("a long pass phrase")
    assert kept.startswith("argon2$argon2id$v=19$m=47104,t=2,p=1$")
    assert check_password("a long pass phrase", kept)


@pytest.mark.parametrize(
    "password", ["elevenchars", "password1234", "bfxdash12345!", "Bitfinex2026!!"]
)
def test_weak_passwords_are_refused(password):
    with pytest.raises(ValidationError):
        validate_password(password)


@pytest.mark.parametrize("password", ["correct horse battery", "ä" * 13, "zzz" + "q p" * 21])
def test_long_ones_of_any_letters_are_taken(password):
    validate_password(password)
