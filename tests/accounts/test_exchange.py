from accounts.exchange import Cancelled, backend
from accounts.permissions import Permissions


def test_the_setting_names_the_backend(exchange, key):
    assert backend().permissions(key) == Permissions.from_rows(exchange.rows)
    assert backend() is exchange


def test_what_became_of_the_orders_may_be_unknown():
    assert Cancelled(None, "no answer") != Cancelled(0)
