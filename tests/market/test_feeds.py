from market.feeds import SILENCE_SECONDS, WHOLE, Feeds, Part
from market.quotes import FeedState, FeedStatus


def said(state: FeedState, sockets: int = 1, **more: object) -> FeedStatus:
    return FeedStatus(state=state, since=1, at=2, sockets=sockets, wanted=2, **more)  # type: ignore[arg-type]


def test_the_status_of_one_feed_is_its_own():
    feeds = Feeds()
    feeds.hear(WHOLE, said("live"), 0.0, full=True)
    assert feeds.status() == said("live")
    assert feeds.complete


def test_the_page_looks_no_better_than_the_worst_feed():
    feeds = Feeds(2)
    feeds.hear(Part(0, 2), said("live", sockets=2), 0.0, full=True)
    feeds.hear(Part(1, 2), said("offline", reason="cannot reach Bitfinex"), 0.0, full=True)
    together = feeds.status()
    assert (together.state, together.reason) == ("offline", "cannot reach Bitfinex")
    assert (together.sockets, together.wanted) == (3, 4)


def test_a_feed_that_has_not_spoken_yet_is_missing():
    feeds = Feeds(2)
    feeds.hear(Part(1, 2), said("live"), 0.0, full=True)
    assert (feeds.status().state, feeds.status().reason) == ("connecting", "1 of 2 feeds to come")
    assert not feeds.complete
    feeds.hear(Part(0, 2), said("live"), 0.0, full=True)
    assert feeds.status().state == "live"
    assert feeds.complete


def test_one_silent_feed_makes_the_whole_stale_until_it_speaks_again():
    feeds = Feeds(2)
    for each in range(2):
        feeds.hear(Part(each, 2), said("live"), 0.0, full=True)
    feeds.hear(Part(0, 2), said("live"), 10.0, full=False)
    assert not feeds.silenced(SILENCE_SECONDS, 1000.0)
    assert feeds.silenced(SILENCE_SECONDS + 1, 1000.0)
    assert (feeds.status().state, feeds.status().since) == ("stale", 1_000_000)
    assert not feeds.complete
    assert not feeds.silenced(SILENCE_SECONDS + 2, 1000.0)
    feeds.hear(Part(1, 2), said("live"), 20.0, full=True)
    assert feeds.status().state == "live"
