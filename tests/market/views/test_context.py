from market.views.context import exchange_mode, version


def test_every_page_knows_mode_name_and_version(rf):
    request = rf.get("/")
    request.resolver_match = None
    facts = exchange_mode(request)
    assert facts.pop("is_signed_in")() is False
    assert facts == {"exchange_mode": "sandbox", "page_name": "", "version": version()}


def test_the_version_is_the_project_s():
    assert version().count(".") == 2
