import pytest
from django.db import OperationalError, connection, transaction

from market import limiter
from market.bitfinex.errors import LimiterClosed, NoSlot
from market.limiter import Limiter
from market.limits import LONGEST_WAIT, read_rates
from market.models import IpBlock, RateWindow

pytestmark = pytest.mark.django_db
START = 1_700_000_000_000_000
RATES = read_rates({"rates": {"tickers": 4}})  # one of them kept for urgent calls


class Time:
    """Clocks and a sleep that belong together; `late` is how much longer a sleep takes. Set `wall`
    and only the clock on the wall steps.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.wall = START
        self.late = 0.0
        self.slept: list[float] = []

    def now_us(self) -> int:
        return self.wall + round(self.now * 1_000_000)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds + self.late
        self.late = 0.0


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def budget(time: Time) -> Limiter:
    return limiter_on(time)


def limiter_on(time: Time, egress: str = "home", kind: type[Limiter] = Limiter) -> Limiter:
    return kind(
        egress,
        RATES,
        now_us=time.now_us,
        sleep=time.sleep,
        monotonic=time.monotonic,
        steady=time.monotonic,
    )


def use_up(budget: Limiter) -> None:
    for _ in range(3):
        budget.acquire("tickers")


def test_a_free_slot_is_given_at_once_and_is_in_the_log(budget: Limiter, time: Time):
    assert budget.acquire("tickers", user=7) == time.now + 1
    row = RateWindow.objects.get()
    assert (row.scope, row.ring, row.asked) == ("home|tickers", [[START, 7]], [])
    assert time.slept == []


def test_a_used_up_budget_says_when_to_come_back(budget: Limiter, time: Time):
    use_up(budget)
    time.now = 2.0
    with pytest.raises(NoSlot) as caught:
        budget.acquire("tickers", deadline=5)
    assert (caught.value.scope, caught.value.retry_after) == ("tickers", 60)
    assert len(RateWindow.objects.get().ring) == 3


def test_a_caller_that_can_wait_sleeps_until_its_slot(budget: Limiter, time: Time):
    use_up(budget)
    time.now = 50.0
    assert budget.acquire("tickers", deadline=15) == 63
    assert time.slept == [12]


def test_cancels_leave_at_once_when_the_rest_is_used_up(budget: Limiter, time: Time):
    use_up(budget)
    budget.acquire("tickers", "cancel")
    with pytest.raises(NoSlot):
        budget.acquire("tickers", "cancel")
    assert time.slept == []


def test_endpoints_and_addresses_have_budgets_of_their_own(budget: Limiter, time: Time):
    use_up(budget)
    budget.acquire("ticker")
    limiter_on(time, egress="office").acquire("tickers")


def test_a_block_holds_back_every_endpoint_of_the_address(budget: Limiter, time: Time):
    budget.block("tickers", 60)
    time.now = 1.0
    with pytest.raises(NoSlot) as caught:
        budget.acquire("ticker", "cancel", 5)
    assert caught.value.retry_after == 59
    limiter_on(time, egress="office").acquire("ticker")


def test_a_longer_block_is_not_shortened(budget: Limiter, time: Time):
    budget.block("tickers", 60)
    budget.block("ticker", 10)
    assert budget.blocked_for() == 60
    time.now = 60.0
    assert budget.blocked_for() == 0
    budget.acquire("tickers")


def test_a_slot_taken_before_a_block_dies(time: Time):
    class BlockedWhileAsleep(Limiter):
        def blocked_for(self) -> float:
            if not IpBlock.objects.exists():
                self.block("book", 60)
            return super().blocked_for()

    budget = limiter_on(time, kind=BlockedWhileAsleep)
    use_up(budget)
    time.now = 60.0
    with pytest.raises(NoSlot):
        budget.acquire("tickers", deadline=5)
    assert time.slept == [2]


def test_who_wakes_too_late_takes_a_new_slot(budget: Limiter, time: Time):
    use_up(budget)
    time.late = 30.0  # suspended
    assert budget.acquire("tickers", deadline=80) == 92 + 1
    assert len(RateWindow.objects.get().ring) == 2


def test_nobody_waits_longer_than_a_reservation_may_lie_ahead(budget: Limiter, time: Time):
    reserved = START + 40_000_000
    RateWindow.objects.create(scope="home|tickers", ring=[[reserved, None]] * 3)
    with pytest.raises(NoSlot) as caught:
        budget.acquire("tickers", deadline=1000)
    assert caught.value.retry_after == 40 + 62 > LONGEST_WAIT
    assert time.slept == []


def test_a_block_from_a_clock_that_stepped_is_repaired_even_when_refusing(
    budget: Limiter, time: Time
):
    IpBlock.objects.create(egress="home", until_us=START + 3_600_000_000)
    with pytest.raises(NoSlot) as caught:
        budget.acquire("tickers")
    assert caught.value.retry_after == 60
    assert IpBlock.objects.get().until_us == START + 60_000_000


def test_a_log_from_a_clock_that_stepped_costs_one_window(budget: Limiter, time: Time):
    ahead = START + 3_600_000_000
    RateWindow.objects.create(scope="home|tickers", ring=[[ahead + n, None] for n in range(4)])
    with pytest.raises(NoSlot) as caught:
        budget.acquire("tickers")
    assert caught.value.retry_after == 62
    time.now = 62.0
    budget.acquire("tickers")


def test_a_clock_set_forward_frees_nothing_early(budget: Limiter, time: Time):
    use_up(budget)
    time.wall += 3_600_000_000
    time.now = 10.0
    with pytest.raises(NoSlot) as caught:
        budget.acquire("tickers")
    assert caught.value.retry_after == 52


def test_a_step_is_seen_by_every_process_and_counted_once(budget: Limiter, time: Time):
    other = limiter_on(time)
    use_up(other)
    budget.acquire("tickers", "cancel")
    time.wall += 30_000_000
    time.now = 10.0
    for process in (budget, other, budget):
        with pytest.raises(NoSlot) as caught:
            process.acquire("tickers")
        assert caught.value.retry_after == 52


def test_a_clock_that_only_drifts_is_left_alone(budget: Limiter, time: Time):
    use_up(budget)
    time.now = 62.0
    time.wall += 400_000
    budget.acquire("tickers")


def test_a_clock_set_back_costs_one_window_at_most(budget: Limiter, time: Time):
    use_up(budget)
    time.wall -= 3_600_000_000
    with pytest.raises(NoSlot) as caught:
        budget.acquire("tickers")
    assert caught.value.retry_after == 62
    time.now = 62.0
    budget.acquire("tickers")


def test_the_state_says_what_is_left(budget: Limiter, time: Time):
    assert budget.state() == limiter.State("home", 0, [])
    use_up(budget)
    budget.acquire("book")
    budget.block("book", 30)
    state = budget.state()
    assert state.blocked_for == 30
    assert state.budgets == [
        limiter.Budget(endpoint="book", limit=90, window=60, left=87, left_urgent=89),
        limiter.Budget(endpoint="tickers", limit=4, window=60, left=0, left_urgent=1),
    ]


class AwayDatabase(Limiter):
    def _locked(self, scope: str) -> RateWindow:
        raise OperationalError("the database system is shutting down")


def test_without_the_database_nothing_leaves():
    with pytest.raises(LimiterClosed) as caught:
        AwayDatabase("home", RATES).acquire("tickers", deadline=5)
    assert caught.value.reason == "OperationalError"
    assert caught.value.__cause__ is None


def test_a_slot_is_never_taken_in_a_transaction_that_may_be_rolled_back(budget: Limiter):
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        budget.acquire("tickers")


def test_the_modules_functions_draw_on_the_address_of_the_settings():
    limiter.acquire("tickers", "read", 0)
    limiter.block("tickers", 5)
    state = limiter.state()
    assert (state.egress, [one.endpoint for one in state.budgets]) == ("default", ["tickers"])
    assert 0 < state.blocked_for <= 5


class Handle:
    """A database connection that notes whether it was closed."""

    def __init__(self, options: dict[str, object], *, in_atomic_block: bool = False) -> None:
        self.settings_dict = {"OPTIONS": options}
        self.in_atomic_block = in_atomic_block
        self.closed = False

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("handle", "closed"),
    [
        (Handle({"pool": {"max_size": 20}}), True),
        (Handle({"pool": {"max_size": 20}}, in_atomic_block=True), False),
        (Handle({"timeout": 20}), False),
    ],
)
def test_only_a_connection_that_others_wait_for_is_given_back(monkeypatch, handle, closed):
    monkeypatch.setattr(limiter, "connection", handle)
    limiter.give_back_connection()
    assert handle.closed is closed


def test_a_process_frozen_while_it_reserves_loses_its_locks_after_a_while(profile):
    if profile == "embedded":
        pytest.skip("SQLite has no server that could end a session")
    with connection.cursor() as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        assert cursor.fetchone() == ("5s",)
