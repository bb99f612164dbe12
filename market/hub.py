"""The newest row of every symbol, and who wants to hear of it. No I/O.

One hub lives in each web process. Rows arrive as encoded text and leave as whole WebSocket
frames: a flush joins the rows that changed once for each distinct subscription and hands the same
bytes to every browser that has it. A browser that is still busy with earlier bytes gets nothing;
when it has drained it gets one frame of all that changed since.

Time is a parameter: `now` in seconds of a monotonic clock. What browsers are told of the time
comes from the offset that `set_clock` keeps.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Protocol

import msgspec
import structlog
from django.conf import settings

from market.bitfinex.symbols import is_symbol
from market.feeds import WHOLE, Feeds, Part
from market.frames import DEFLATED, PLAIN, Encoding
from market.quotes import FUNDING_FIELDS, FeedStatus, Quote, decode

BEAT_SECONDS = 10.0  # a browser hears from us at least this often
BEHIND_SECONDS = 30.0  # a reader behind for longer is dropped
CROWD = 64  # subscriptions; with more, only shared frames are compressed
SHARED = 4  # readers with one subscription
SLICE = 250  # readers served before others in the loop get their turn

log = structlog.get_logger(__name__)
_encode = msgspec.json.Encoder().encode
_FIELDS = f'"fields":{_encode(FUNDING_FIELDS).decode()},'


class Sink(Protocol):
    """Where the frames of one browser go. `busy` while bytes handed over earlier still wait,
    `deflates` if the browser agreed to compressed frames.
    """

    busy: bool
    deflates: bool

    def send(self, frame: bytes) -> None:
        """Take one whole frame; the sink keeps what cannot leave at once and turns busy."""

    def abort(self) -> None:
        """Drop the connection without a farewell."""


class Reader:
    """One browser: its sink, what it wants, and up to where it knows the market."""

    __slots__ = ("behind_since", "group", "needs_snapshot", "seq", "sink", "watched")

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.group: Group | None = None
        self.seq = 0
        self.behind_since: float | None = None
        self.needs_snapshot = False
        self.watched: frozenset[str] = frozenset()


class Group:
    """All readers with the same subscription (`symbols` None: every symbol) and encoding."""

    __slots__ = ("encoding", "readers", "symbols", "table", "table_seq")

    def __init__(self, symbols: frozenset[str] | None, encoding: Encoding) -> None:
        self.symbols = symbols
        self.encoding = encoding
        self.readers: set[Reader] = set()
        self.table = b""  # the rows and the end of the last snapshot, packed
        self.table_seq = -1


class Hub:
    """See the module. `window` is the least time between two flushes, in seconds."""

    def __init__(self, window: float) -> None:
        self.seq = 0
        self.dropped = 0  # readers that were behind for too long
        self._listed = False  # the whole table has come once: other symbols do not exist
        self._feeds = Feeds()
        self._window = window
        self._rows: dict[str, str] = {}
        self._versions: dict[str, int] = {}
        self._dirty: set[str] = set()
        self._groups: dict[tuple[frozenset[str] | None, Encoding], Group] = {}
        self._behind: set[Reader] = set()
        self._watchers: Counter[str] = Counter()
        self._status = FeedStatus(
            state="connecting", since=0, at=0, reason="waiting for the first prices"
        )
        self._status_seq = 0
        self._beat_due = False
        self._offset = 0.0
        self._beaten = self._flushed = float("-inf")

    # What comes in -----------------------------------------------------------------------------

    def set_clock(self, now: float, wall: float) -> None:
        """`wall` (seconds since epoch) is what the clock on the wall shows at `now`."""
        self._offset = wall - now
        if self._status.since == 0:
            self._status = msgspec.structs.replace(self._status, since=int(wall * 1000))

    def apply(
        self,
        rows: dict[str, str],
        status: FeedStatus,
        now: float,
        full: bool = False,
        part: Part = WHOLE,
    ) -> None:
        """One batch of a feed: symbol → encoded row. Rows that did not change cost nothing."""
        if part.ranges != self._feeds.ranges:
            self._feeds = Feeds(part.ranges)
        self._feeds.hear(part, status, now, full and bool(rows))
        self._listed = self._listed or self.complete
        if full and rows and part.ranges == 1 and status.state == "live":
            self._forget(self._rows.keys() - rows.keys(), now)
        self._put(rows)
        self._tell(self._feeds.status())

    def load(self, rows: dict[str, str]) -> None:
        """Rows saved earlier, for as long as the feed has said nothing."""
        if not self._rows:
            self._put(rows)

    def tick(self, now: float) -> None:
        """Once a second: notice a silent feed, keep the pulse, drop who cannot follow."""
        if self._feeds.silenced(now, self._offset):
            self._tell(self._feeds.status())
        if now - self._beaten >= BEAT_SECONDS:
            self._beat_due = True
        for reader in tuple(self._behind):
            if reader.behind_since is not None and now - reader.behind_since > BEHIND_SECONDS:
                self._drop(reader)

    # What goes out -----------------------------------------------------------------------------

    def due(self, now: float) -> float | None:
        """Seconds until the next flush (0: now), None when there is nothing to say."""
        if not (self._dirty or self._beat_due):
            return None
        return max(0.0, self._flushed + self._window - now)

    def flush(self, now: float) -> Iterator[None]:
        """Send what changed to everyone who wants it. Yields after each slice of readers, so that
        the caller can let others run; must be exhausted before the next flush.
        """
        self._flushed = now
        self.seq += 1
        dirty, self._dirty = self._dirty, set()
        self._versions.update(dict.fromkeys(dirty, self.seq))
        head = ""
        if self._beat_due:
            self._beat_due, self._beaten, self._status_seq = False, now, self.seq
            head = self._news(now)
        return self._spread(self.seq, dirty, head, now)

    def _spread(self, seq: int, dirty: set[str], head: str, now: float) -> Iterator[None]:
        served = 0
        crowd = len(self._groups) > CROWD
        for group in tuple(self._groups.values()):
            symbols = dirty if group.symbols is None else dirty & group.symbols
            if not symbols and not head:
                continue
            encoding = PLAIN if crowd and len(group.readers) < SHARED else group.encoding
            frame = self._frame(encoding, seq, head, symbols)
            for reader in tuple(group.readers):
                if reader.group is not group or reader.seq >= seq:
                    continue  # left, or has had a newer frame, while others were served
                self._serve(reader, frame, seq, now)
                served += 1
                if served % SLICE == 0:
                    yield

    def _serve(self, reader: Reader, frame: bytes, seq: int, now: float) -> None:
        if reader.sink.busy:
            self._fall_behind(reader, now)
            return
        reader.seq = seq
        try:
            reader.sink.send(frame)
        except Exception:  # one broken sink must not cost the others their prices
            log.exception("a browser could not be written to")
            self._drop(reader)

    # Readers -----------------------------------------------------------------------------------

    def join(self, sink: Sink, symbols: frozenset[str] | None, now: float) -> Reader:
        """A new browser gets its snapshot at once, behind whatever its sink still holds."""
        reader = Reader(sink)
        self._snapshot(reader, self._move(reader, symbols), now)
        return reader

    def leave(self, reader: Reader) -> None:
        """The browser is gone. Harmless when it has left already."""
        self.watch(reader, frozenset())
        self._behind.discard(reader)
        self._unlink(reader)

    def subscribe(self, reader: Reader, symbols: frozenset[str] | None, now: float) -> None:
        """Replace what the reader wants, and tell it all of that."""
        self._move(reader, symbols)
        self.resync(reader, now)

    def resync(self, reader: Reader, now: float) -> None:
        """A fresh snapshot: now, or as soon as the reader has drained."""
        if reader.sink.busy:
            reader.needs_snapshot = True
            self._fall_behind(reader, now)
        elif reader.group is not None:
            self._snapshot(reader, reader.group, now)

    def drained(self, reader: Reader, now: float) -> None:
        """The reader's sink can take bytes again: bring it up to date with one frame."""
        group = reader.group
        if reader.behind_since is None or group is None:
            return
        reader.behind_since = None
        self._behind.discard(reader)
        if reader.needs_snapshot:
            self._snapshot(reader, group, now)
            return
        seen, reader.seq = reader.seq, self.seq
        wanted = self._wanted(group)
        symbols = [symbol for symbol in wanted if self._versions.get(symbol, 0) > seen]
        if symbols or self._status_seq > seen:
            frame = self._frame(group.encoding, self.seq, self._news(now), symbols)
            reader.sink.send(frame)

    def watch(self, reader: Reader, symbols: frozenset[str]) -> None:
        """The rows that this browser has on the screen."""
        self._watchers.subtract(reader.watched)
        self._watchers.update(symbols)
        for symbol in reader.watched:
            if not self._watchers[symbol]:
                del self._watchers[symbol]
        reader.watched = symbols

    # Questions ---------------------------------------------------------------------------------

    @property
    def status(self) -> FeedStatus:
        return self._status

    @property
    def complete(self) -> bool:
        """Whether the whole table has come since the start or the last silence."""
        return self._feeds.complete

    @property
    def readers(self) -> int:
        """How many browsers are connected."""
        return sum(len(group.readers) for group in self._groups.values())

    def watched(self) -> list[str]:
        """The symbols on somebody's screen, most watched first."""
        return sorted(self._watchers, key=lambda symbol: (-self._watchers[symbol], symbol))

    def unknown(self, symbols: Iterable[str]) -> list[str]:
        """Those that do not exist: not in the table, or, while there is no whole table yet, of a
        form that no symbol has.
        """
        strange = [symbol for symbol in symbols if symbol not in self._rows]
        return strange if self._listed else [each for each in strange if not is_symbol(each)]

    def rows(self) -> list[Quote]:
        """Every quote, for a page."""
        return [decode(row) for row in list(self._rows.values())]

    def quote(self, symbol: str) -> Quote | None:
        row = self._rows.get(symbol)
        return None if row is None else decode(row)

    def age(self, symbol: str, now: float) -> float | None:
        """Seconds since the symbol's newest value reached us; here `now` is since epoch."""
        quote = self.quote(symbol)
        return None if quote is None else now - quote.seen / 1000

    # Inside ------------------------------------------------------------------------------------

    def _forget(self, symbols: set[str], now: float) -> None:
        """They are not traded any more: browsers hear of it by a fresh snapshot."""
        for symbol in symbols:
            del self._rows[symbol]
            self._versions.pop(symbol, None)
        self._dirty -= symbols
        if symbols:
            self.seq += 1
            for group in tuple(self._groups.values()):
                for reader in tuple(group.readers):
                    self.resync(reader, now)

    def _put(self, rows: dict[str, str]) -> None:
        for symbol, row in rows.items():
            if self._rows.get(symbol) != row:
                self._rows[symbol] = row
                self._dirty.add(symbol)

    def _tell(self, status: FeedStatus) -> None:
        old, self._status = self._status, status
        if msgspec.structs.replace(old, at=status.at) != status:
            self._beat_due = True

    def _move(self, reader: Reader, symbols: frozenset[str] | None) -> Group:
        self._unlink(reader)
        key = symbols, DEFLATED if reader.sink.deflates else PLAIN
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(*key)
        group.readers.add(reader)
        reader.group = group
        return group

    def _unlink(self, reader: Reader) -> None:
        group, reader.group = reader.group, None
        if group is None:
            return
        group.readers.discard(reader)
        if not group.readers:
            del self._groups[group.symbols, group.encoding]

    def _drop(self, reader: Reader) -> None:
        self.dropped += 1
        self.leave(reader)
        reader.sink.abort()

    def _fall_behind(self, reader: Reader, now: float) -> None:
        if reader.behind_since is None:
            reader.behind_since = now
            self._behind.add(reader)

    def _snapshot(self, reader: Reader, group: Group, now: float) -> None:
        pack, frame = group.encoding
        if group.table_seq != self.seq:
            wanted = sorted(self._wanted(group))
            rows = ",".join([self._rows[each] for each in wanted if each in self._rows])
            group.table, group.table_seq = pack(f"{rows}]}}".encode()), self.seq
        reader.seq = self.seq
        reader.needs_snapshot = False
        head = f'{{"seq":{self.seq},"snapshot":true,{_FIELDS}{self._news(now)}"rows":['
        reader.sink.send(frame(pack(head.encode()) + group.table))

    def _wanted(self, group: Group) -> Iterable[str]:
        return self._rows if group.symbols is None else group.symbols

    def _news(self, now: float) -> str:
        wall_ms = int((now + self._offset) * 1000)
        return f'"now":{wall_ms},"feed":{_encode(self._status).decode()},'

    def _frame(self, encoding: Encoding, seq: int, head: str, symbols: Iterable[str]) -> bytes:
        rows = ",".join(filter(None, map(self._rows.get, symbols)))
        return encoding.frame(encoding.pack(f'{{"seq":{seq},{head}"rows":[{rows}]}}'.encode()))


@cache
def hub() -> Hub:
    """The hub of this process."""
    return Hub(window=settings.BFX_FLUSH_MS / 1000)
