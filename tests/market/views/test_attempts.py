"""The page of one order says what is known, in every state."""

import pytest
from django.urls import reverse
from django.utils import timezone

from market.models import OrderIntent, OrderState
from market.views.order_shown import OUTCOMES

EVIL = "<b>words</b>"


def put(intent, state, **values):
    """As the resolver would leave it."""
    settled = None if state in ("intent", "sending", "unknown") else timezone.now()
    OrderIntent.objects.filter(pk=intent.pk).update(state=state, settled_at=settled, **values)


@pytest.fixture
def intent(alice_browser, ticket):
    alice_browser.post("/orders/new/", ticket())
    return OrderIntent.objects.get()


def test_every_state_has_its_words_and_none_offers_a_second_send(alice_browser, intent):
    where = reverse("market:order", args=[intent.pk])
    now = timezone.now()
    for state, known in OUTCOMES.items():
        if state == OrderState.PREVIEW:
            continue
        put(intent, state, reason=EVIL, confirmed_at=now, cid=7)
        page = alice_browser.get(where).content.decode()
        facts = alice_browser.get(f"{where}state/").json()
        assert known.title in page
        assert (facts["state"], facts["title"], facts["tone"]) == (state, known.title, known.tone)
        assert EVIL not in page
        assert "Place order" not in page
        assert ">Back to the ticket<" in page
        assert 'data-cid="7"' in page
        offers = "data-again hidden>" not in page
        assert offers == (state in (OrderState.REJECTED, OrderState.NOT_PLACED)), state
        assert facts["settled"] == (known.tone != "wait")


def test_what_is_not_confirmed_leads_to_its_review(alice_browser, intent):
    answer = alice_browser.get(reverse("market:order", args=[intent.pk]))
    assert answer["Location"] == reverse("market:review", args=[intent.pk])


def test_asking_for_the_state_keeps_no_session_in_use(alice_browser, intent):
    session = alice_browser.session
    session["seen"] = session["began"] = 1_000_000 + session["began"] - 1_000_100
    session.save()
    alice_browser.get(reverse("market:order_state", args=[intent.pk]))
    assert alice_browser.session["seen"] == session["seen"]
