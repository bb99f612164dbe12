"""What the feeds of all ranges of symbols say of themselves, as one status for the page. No I/O.

Each range (`BFX_FEED_RANGES`) is served by a feed of its own; the page must not look better than
the worst of them.
"""

from typing import NamedTuple

from market.quotes import FeedState, FeedStatus

SILENCE_SECONDS = 15.0  # a feed sends a batch at least every 5 s
WORST_FIRST: tuple[FeedState, ...] = ("offline", "stale", "connecting", "live")


class Part(NamedTuple):
    """Which of how many ranges a batch is of."""

    range: int
    ranges: int


WHOLE = Part(0, 1)


class Feeds:
    """Times are seconds of a monotonic clock."""

    def __init__(self, ranges: int = 1) -> None:
        self.ranges = ranges
        self._heard: dict[int, float] = {}
        self._said: dict[int, FeedStatus] = {}
        self._complete: set[int] = set()

    @property
    def complete(self) -> bool:
        """Whether every range has sent its whole table since it was last silent."""
        return len(self._complete) == self.ranges

    def hear(self, part: Part, status: FeedStatus, now: float, full: bool) -> None:
        """One batch of one of these ranges."""
        self._heard[part.range] = now
        self._said[part.range] = status
        if full:
            self._complete.add(part.range)

    def silenced(self, now: float, offset: float) -> bool:
        """Whether some feed has just become silent; it then counts as stale since its last batch.
        `offset` makes a time since epoch of a monotonic one.
        """
        silent = [each for each, at in self._heard.items() if now - at > SILENCE_SECONDS]
        for each in silent:
            heard_ms = int((self._heard.pop(each) + offset) * 1000)
            self._complete.discard(each)  # batches may have been lost: ask for a whole table
            self._said[each] = FeedStatus(
                state="stale", since=heard_ms, at=heard_ms, reason="no news from the price feed"
            )
        return bool(silent)

    def status(self) -> FeedStatus:
        """The worst of all, with the sockets of all. At least one must have been heard."""
        worst = min(self._said.values(), key=lambda each: WORST_FIRST.index(each.state))
        if self.ranges == 1:
            return worst
        state, reason = worst.state, worst.reason
        missing = self.ranges - len(self._said)
        if missing and state == "live":
            state, reason = "connecting", f"{missing} of {self.ranges} feeds to come"
        return FeedStatus(
            state=state,
            since=worst.since,
            at=max(each.at for each in self._said.values()),
            retry_at=worst.retry_at,
            reason=reason,
            sockets=sum(each.sockets for each in self._said.values()),
            wanted=sum(each.wanted for each in self._said.values()),
        )
