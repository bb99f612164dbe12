"""What the fields take, without a browser or an exchange."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from market import exchange_info
from market.bitfinex.orders import ORDER_TYPES, Flag, NewOrder
from market.forms import (
    CancelAllForm,
    ChangeForm,
    ConfirmForm,
    PageForm,
    TicketForm,
    nearest_prices,
    plain,
    ticket_fields,
)
from market.instrument_book import NAME

SYMBOL = "tBTCUSD"
LIMIT = NewOrder(SYMBOL, "buy", "EXCHANGE LIMIT", Decimal("0.5"), Decimal(20_000))


@pytest.fixture
def fill(signing_key):
    def filled(**changes):
        usual = {
            "key": str(signing_key.pk),
            "symbol": SYMBOL,
            "side": "buy",
            "order_type": "EXCHANGE LIMIT",
            "amount": "0.5",
            "price": "20000",
        }
        return TicketForm({**usual, **changes}, keys=[signing_key])

    return filled


@pytest.fixture
def configuration(db):
    exchange_info.keep(NAME, {SYMBOL: [["exchange"], "0.0001", "200"]})


NEEDED = {
    "MARKET": {},
    "LIMIT": {"price": "20000"},
    "STOP": {"price": "20000"},
    "STOP LIMIT": {"price": "20000", "price_aux_limit": "20100"},
    "TRAILING STOP": {"price_trailing": "150"},
    "FOK": {"price": "20000"},
    "IOC": {"price": "20000"},
}


@pytest.mark.parametrize("order_type", ORDER_TYPES)
def test_every_type_is_read_with_exactly_its_prices(fill, order_type):
    prices = NEEDED[order_type.removeprefix("EXCHANGE ")]
    form = fill(**{"order_type": order_type, "price": "", **prices})
    assert form.is_valid(), form.errors
    assert form.order.order_type == order_type
    assert {name: str(getattr(form.order, name)) for name in prices} == prices
    assert form.order.amount == Decimal("0.5")


def test_spot_types_come_first(fill):
    names = [value for value, _ in fill().fields["order_type"].choices]
    assert all(name.startswith("EXCHANGE ") for name in names[:7])
    assert sorted(names) == sorted(ORDER_TYPES)


def test_options_become_flags(fill):
    form = fill(hidden="on", post_only="on", oco="on", price_oco_stop="19000")
    assert form.is_valid(), form.errors
    assert form.order.flags == Flag.HIDDEN | Flag.POST_ONLY | Flag.OCO
    assert form.order.price_oco_stop == Decimal(19_000)


def test_a_margin_order_takes_its_options_and_leverage(fill):
    form = fill(symbol="tBTCF0:USTF0", order_type="LIMIT", reduce_only="on", leverage="10")
    assert form.is_valid(), form.errors
    assert (form.order.flags, form.order.leverage) == (Flag.REDUCE_ONLY, 10)


def test_times_are_utc(fill):
    form = fill(tif="2030-06-01T12:30")
    assert form.is_valid(), form.errors
    assert form.order.tif == datetime(2030, 6, 1, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize("typed", ["BTCUSD", "btcusd", "BTC/USD", " tBTCUSD "])
def test_a_pair_may_be_written_as_people_do(fill, typed):
    form = fill(symbol=typed)
    assert form.is_valid(), form.errors
    assert form.order.symbol == SYMBOL


@pytest.mark.parametrize("typed", ["fUSD", "t<script>", "tBTCUSD/../auth", "%0d%0a", "t", "tBTC"])
def test_what_is_no_pair_is_refused(fill, typed):
    assert "symbol" in fill(symbol=typed).errors


@pytest.mark.parametrize(
    ("price", "below", "above"),
    [
        ("65432.1", "65432", "65433"),
        ("0.000012345678", "0.00001234", "0.00001235"),
        ("123456", "123450", "123460"),
        ("1.23456", "1.2345", "1.2346"),
        ("99999.5", "99999", "100000"),
        ("0.000000001", "0", "0.00000001"),
    ],
)
def test_the_nearest_prices_are_named(price, below, above):
    assert tuple(plain(each) for each in nearest_prices(Decimal(price))) == (below, above)


def test_an_allowed_price_is_its_own_neighbour():
    for text in ("65432", "65432.000", "0.00001234", "120000"):
        price = Decimal(text)
        assert nearest_prices(price) == (price, price)


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"symbol": "tGONEUSD"}, "symbol", "does not list tGONEUSD"),
        ({"amount": "0.00001"}, "amount", "smallest order of this pair is 0.0001"),
        ({"amount": "300"}, "amount", "largest order of this pair is 200"),
        ({"order_type": "LIMIT"}, "order_type", "not traded on margin"),
    ],
)
def test_the_exchange_s_configuration_counts(fill, configuration, changes, field, words):
    assert words in str(fill(**changes).errors[field])


def test_a_ticket_is_kept_whole_for_another_review(fill, signing_key):
    tif = datetime(2030, 6, 1, 12, 30, tzinfo=UTC)
    flags = Flag.HIDDEN | Flag.OCO
    order = NewOrder(
        SYMBOL, "sell", "EXCHANGE LIMIT", Decimal("0.50"), Decimal(30_000),
        price_oco_stop=Decimal(20_000), flags=flags, tif=tif,
    )  # fmt: skip
    again = TicketForm(
        {**ticket_fields(order), "tif": "2030-06-01T12:30", "key": str(signing_key.pk)},
        keys=[signing_key],
    )
    assert again.is_valid(), again.errors
    assert again.order == order


def test_a_far_price_is_confirmed_by_its_amount():
    def form(typed):
        return ConfirmForm({"amount_again": typed}, amount=Decimal("0.50"), concerns=["far"])

    assert form("0.5").is_valid()
    assert not form("0.05").is_valid()
    assert ConfirmForm({}, amount=Decimal(1), concerns=["market_impact"]).is_valid()
    assert not ConfirmForm({}, amount=Decimal(1), concerns=["no_price"]).is_valid()


def test_a_change_is_what_differs(db):
    form = ChangeForm({"amount": "0.50", "price": "21000"}, order=LIMIT)
    assert form.is_valid(), form.errors
    assert form.changes == {"price": Decimal(21_000)}
    assert set(form.fields) == {"amount", "price", "tif"}
    same = ChangeForm({"amount": "0.5", "price": "20000"}, order=LIMIT)
    assert "Nothing is changed" in str(same.errors)


def test_an_end_shown_to_the_minute_is_no_change(db):
    tif = timezone.now().replace(microsecond=0, second=7) + timedelta(days=1)
    order = NewOrder(SYMBOL, "buy", "EXCHANGE LIMIT", Decimal(1), Decimal(20_000), tif=tif)
    fields = {"amount": "1", "price": "20001", "tif": f"{tif:%Y-%m-%dT%H:%M}"}
    form = ChangeForm(fields, order=order)
    assert form.is_valid(), form.errors
    assert form.changes == {"price": Decimal(20_001)}


@pytest.mark.parametrize(("typed", "good"), [("CANCEL ALL", True), ("cancel all", False)])
def test_cancel_all_is_typed_exactly(typed, good):
    assert CancelAllForm({"words": typed}).is_valid() == good


def test_a_page_of_history_needs_nothing(signing_key):
    form = PageForm({}, keys=[signing_key])
    assert form.is_valid(), form.errors
    assert not PageForm({"before": "-1"}, keys=[]).is_valid()
