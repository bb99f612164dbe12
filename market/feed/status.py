"""What the feed says of itself, in words for people. Pure."""

from dataclasses import dataclass

from market.feed.fleet import FleetView
from market.quotes import FeedState

UNREACHABLE = "cannot reach Bitfinex"
IN_MAINTENANCE = "Bitfinex is in maintenance"
LIMITED = "waiting: Bitfinex limits new connections"


@dataclass(frozen=True, slots=True)
class Judgement:
    """`retry_at` is on the monotonic clock, None when nothing needs to be tried."""

    state: FeedState
    reason: str
    retry_at: float | None


def judge(
    fleet: FleetView, *, any_live: bool, maintenance: bool, rest_fault: str, rest_retry_at: float
) -> Judgement:
    """`any_live`: at least one row is; `rest_fault` says why the last REST call failed, empty when
    it did not.
    """
    retries = [at for at in (fleet.retry_at, rest_retry_at if rest_fault else None) if at]
    retry_at = min(retries, default=None)
    if maintenance:
        return Judgement("stale", IN_MAINTENANCE, None if fleet.open else retry_at)
    if fleet.wanted and fleet.open == fleet.wanted:
        if any_live:
            return Judgement("live", "", None)
        return Judgement("connecting", "waiting for the first prices", None)
    if fleet.open:
        missing = fleet.wanted - fleet.open
        return Judgement("connecting", f"{missing} of {fleet.wanted} connections to come", retry_at)
    return _nothing_open(fleet, rest_fault, retry_at)


def _nothing_open(fleet: FleetView, rest_fault: str, retry_at: float | None) -> Judgement:
    if fleet.limited:
        return Judgement("stale" if fleet.was_open else "connecting", LIMITED, retry_at)
    if fleet.out_of_reach:
        return Judgement("offline", UNREACHABLE, retry_at)
    if rest_fault and not fleet.wanted:
        return Judgement("offline", rest_fault, retry_at)
    if fleet.was_open:
        return Judgement("stale", "the connection to Bitfinex is lost", retry_at)
    return Judgement("connecting", "connecting to Bitfinex", retry_at)
