"""The rows that guard the exchange's limits: one for each thing that is guarded."""

import pytest
from django.db import IntegrityError

from market.models import ConnectBudget, FeedLease, IpBlock, RateWindow, SavedQuotes

ROWS = [
    (RateWindow, {"scope": "here|tickers"}),
    (IpBlock, {"egress": "here"}),
    (ConnectBudget, {"scope": "here|public"}),
    (FeedLease, {"range": 0, "holder": "me", "expires_us": 1}),
    (SavedQuotes, {"range": 0}),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("model", "values"), ROWS, ids=[model.__name__ for model, _ in ROWS])
def test_two_processes_that_make_the_same_row_make_one(model, values):
    model.objects.create(**values)
    with pytest.raises(IntegrityError):
        model.objects.create(**values)


@pytest.mark.django_db
def test_a_new_window_has_room_and_a_new_block_blocks_nothing():
    assert list(RateWindow.objects.create(scope="a").ring) == []
    assert list(ConnectBudget.objects.create(scope="a").ring) == []
    assert IpBlock.objects.create(egress="a").until_us == 0
