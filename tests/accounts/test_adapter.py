import pytest
from allauth.mfa.models import Authenticator

from accounts.adapter import People, SecondFactors
from accounts.errors import SealBroken
from tests.accounts.sessions import code_of, give_factor


def test_seeds_lie_sealed_in_the_database(alice):
    """T3, T6: of the codes of an app, and of recovery codes."""
    seed = give_factor(alice)
    stored = str(list(Authenticator.objects.values_list("data", flat=True)))
    assert seed not in stored
    codes = Authenticator.objects.get(type="recovery_codes")
    assert len(SecondFactors().decrypt(codes.data["seed"])) == 80
    assert Authenticator.objects.get(type="totp").wrap().validate_code(code_of(seed))


@pytest.mark.parametrize("text", ["", "JBSWY3DPEHPK3PXP", "AAAA" * 20, "nö"])
def test_a_seed_that_we_did_not_seal_is_refused(db, text):
    with pytest.raises(SealBroken):
        SecondFactors().decrypt(text)


def test_two_seals_of_one_seed_differ(db):
    assert SecondFactors().encrypt("seed") != SecondFactors().encrypt("seed")


def test_sign_up_is_closed(rf):
    assert not People().is_open_for_signup(rf.get("/"))


@pytest.mark.parametrize(("url", "safe"), [("/keys/", True), ("keys/", False), (None, False)])
def test_links_lead_to_paths_of_this_site(rf, url, safe):
    from allauth.core import context

    with context.request_context(rf.get("/")):
        assert People().is_safe_url(url) == safe
