from decimal import Decimal

from market.order_errors import IntentTaken, OrderNotTried, OrderRefused, PreviewGone


def test_a_refusal_carries_its_rule_and_numbers():
    refused = OrderRefused("largest_order", limit=Decimal(5), value=Decimal(6))
    assert (refused.reason, refused.facts["limit"]) == ("largest_order", 5)
    assert str(refused) == "largest_order: limit 5, value 6"
    assert str(OrderRefused("symbol")) == "symbol"


def test_whoever_catches_the_root_has_sent_nothing():
    assert all(issubclass(kind, OrderNotTried) for kind in (OrderRefused, PreviewGone, IntentTaken))
