import pytest
from django.db import DatabaseError

from market import limiter
from market.limiter import Budget, State
from market.views.budget import PLACING, badge, badge_of, shown
from tests.trading import SUBMIT


def state(left, blocked_for=0.0):
    return State("here", blocked_for, [Budget(PLACING, 90, 60.0, left, left + 2)])


@pytest.mark.parametrize(
    ("given", "tone", "text"),
    [
        (state(80), "fine", "80 of 90 orders left"),
        (state(3), "low", "3 of 90 orders left"),
        (state(0), "none", "0 of 90 orders left"),
        (state(80, blocked_for=41.2), "none", "Blocked for 42 s"),
        (State("here", 0.0, []), "fine", "Budget unused"),
    ],
)
def test_the_badge_says_what_may_still_be_placed(given, tone, text):
    assert badge_of(given) == (tone, text)


def test_what_is_used_left_and_kept_adds_up():
    row = shown(Budget(PLACING, 90, 60.0, 80, 82))
    assert (row.used, row.budget.left, row.kept) == (8, 80, 2)
    assert row.name == "Placing orders"


def test_the_page_lists_what_was_used(alice_browser, desk):
    desk.place()
    page = alice_browser.get("/budget/").content.decode()
    assert "Placing orders" in page
    assert f'data-endpoint="{SUBMIT}"' in page
    assert "data-blocked" not in page


def test_a_block_is_on_the_page(alice_browser, desk):
    limiter.block(SUBMIT, 2)
    assert "data-blocked" in alice_browser.get("/budget/").content.decode()


def test_without_the_database_nobody_guesses(monkeypatch, db):
    def fail(*args, **how):
        raise DatabaseError

    monkeypatch.setattr("market.models.RateWindow.objects.filter", fail)
    assert badge() == ("none", "Budget not known")
