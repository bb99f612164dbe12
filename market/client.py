"""Calls to the exchange: a slot of the budget, one request, a typed result or a typed error."""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from http.cookiejar import DefaultCookiePolicy
from typing import Any, TypeVar

import requests
import structlog
from django.db import Error as DatabaseError
from prometheus_client import Counter, Histogram
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from accounts import signer
from accounts.errors import KeyBusy
from accounts.models import Act, ApiKey
from market.bitfinex import rest
from market.bitfinex.errors import (
    AuthRefused,
    ExchangeError,
    LimiterClosed,
    NonceRefused,
    NoReply,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    Unreachable,
    unreadable,
)
from market.conf import Exchange, exchange
from market.limiter import Limiter, give_back_connection
from market.limits import Lane, read_rates

T = TypeVar("T")
log = structlog.get_logger(__name__)

READ_PIECE = 64 * 1024
POOL = 16
USER_AGENT = "bfxdash (+self-hosted)"
SLOTS_A_CALL = 4
"""Slots one call may use up: connecting took so long that a slot passed, or the nonce was refused
(10114), which proves that nothing was executed.
"""
READS = "auth/r/"
"""How the path of an account call begins that changes nothing."""

ACTS: Mapping[Lane, Act] = {
    "read": "read",
    "look_up": "read",
    "place": "place",
    "cancel": "cancel",
    "burn": "burn",
}
"""What a call of this lane is signed for."""

CANCEL_ASKS_EVERY = 0.01
"""Seconds: a cancel does not sleep until a busy key is free, as the others do, but asks before
they wake, so that its turn is the next."""

BeforeSend = Callable[[int], None]
"""Told the nonce of a signed request before its first byte may leave; what it raises stops it."""

CALLS = Counter("bfxdash_rest_calls", "Calls to the exchange", ["endpoint", "outcome"])
SECONDS = Histogram("bfxdash_rest_seconds", "From sending to the last byte", ["endpoint"])


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds to wait for a connection, for the next byte, and for the last byte."""

    connect: float = 3.05
    read: float = 15.0
    whole: float = 30.0


class SlotMissed(Exception):
    """The connection was ready too late for the slot. Not a byte of the request left."""


@dataclass(slots=True)
class _Departure:
    leave_by: float  # monotonic
    begun: bool = False


_departure: ContextVar[_Departure] = ContextVar("departure")


class _Punctual:
    """A connection that looks at the clock after connecting, before the first byte."""

    def request(self, *args: Any, **kwargs: Any) -> None:
        departure = _departure.get()
        if self.is_closed:  # type: ignore[attr-defined]
            self.connect()  # type: ignore[attr-defined]
        if time.monotonic() >= departure.leave_by:
            raise SlotMissed
        departure.begun = True
        super().request(*args, **kwargs)  # type: ignore[misc]


class _PunctualHTTP(_Punctual, HTTPConnection):
    pass


class _PunctualHTTPS(_Punctual, HTTPSConnection):
    pass


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _PunctualHTTP


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _PunctualHTTPS


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}


def open_session() -> requests.Session:
    """A session that does nothing on its own: no proxies or passwords of the environment, no
    cookies, no repeats.
    """
    session = requests.Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers = {
        "User-Agent": USER_AGENT,
        "Accept": "application/json",
        "Accept-Encoding": "gzip",
    }
    adapter = _Adapter(pool_maxsize=POOL, pool_block=True, max_retries=0)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


class RestClient:
    """One exchange, one session, one limiter. May be used by many threads."""

    def __init__(
        self,
        exchange: Exchange,
        limiter: Limiter | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.exchange = exchange
        self._patience = patience or Patience()
        self._limiter = limiter or Limiter(exchange.egress, read_rates(exchange.rates))
        self._session = open_session()
        self._unsaved_block: tuple[str, float] | None = None  # endpoint, monotonic end

    def call(
        self,
        request: rest.Request[T],
        key: ApiKey | None = None,
        *,
        lane: Lane = "read",
        deadline: float = 10.0,
        user: int | None = None,
        before_send: BeforeSend | None = None,
    ) -> T:
        """The exchange's answer. Waits up to `deadline` seconds for a slot of the budget.

        With a `key` the call is signed for what its lane is for (`ACTS`) and counts for the key's
        owner; `before_send` is then called before every attempt. A signed read whose answer is lost
        is asked once more within the deadline, with a new nonce; a write never is. Raises one of
        `market.bitfinex.errors`; a key that may not sign raises its `accounts.errors.KeyUnusable`,
        one that others keep busy past the deadline `KeyBusy`, then nothing was sent. Not to be
        called in a transaction.
        """
        owner = key.owner_id if key and user is None else user
        try:
            result = self._call(request, key, lane, deadline, owner, before_send)
        except ExchangeError as error:
            CALLS.labels(request.scope, type(error).__name__).inc()
            raise
        CALLS.labels(request.scope, "ok").inc()
        return result

    def _call(
        self,
        request: rest.Request[T],
        key: ApiKey | None,
        lane: Lane,
        deadline: float,
        user: int | None,
        before_send: BeforeSend | None,
    ) -> T:
        self._save_block()
        give_up = time.monotonic() + deadline
        failure: ExchangeError = Unreachable("SlotMissed")
        may_repeat = key is not None and _is_read(request, lane)
        slots = SLOTS_A_CALL
        while slots:
            left = max(0.0, give_up - time.monotonic())
            leave_by = self._limiter.acquire(request.scope, lane, left, user)
            slots -= 1
            try:
                if key is not None:
                    return self._signed(request, key, ACTS[lane], leave_by, before_send)
                give_back_connection()
                return self._parse(request, *self._send(request, leave_by))
            except KeyBusy as busy:
                _wait_in_line(busy, give_up, urgent=lane == "cancel")
                slots += 1
            except SlotMissed:
                continue
            except NonceRefused as refused:
                failure = refused
            except OutcomeUnknown as lost:
                if not may_repeat or time.monotonic() >= give_up:
                    raise
                failure, may_repeat = lost, False
        raise failure

    def _signed(
        self,
        request: rest.Request[T],
        key: ApiKey,
        act: Act,
        leave_by: float,
        before_send: BeforeSend | None,
    ) -> T:
        """Within one slot: a grant at the key's own pace, then one request. A grant that grew too
        old while connecting was never used, so another one takes its place.
        """
        while True:
            done = self._sign(request, key, act, leave_by)
            if before_send is not None:
                before_send(done.nonce)
            give_back_connection()
            time.sleep(done.window.wait_ns(time.monotonic_ns()) / 1e9)
            last_moment = min(leave_by, done.window.closes_ns / 1e9)
            try:
                status, body = self._send(request, last_moment, done.headers)
            except SlotMissed:
                if time.monotonic() >= leave_by:
                    raise
                continue
            return self._judged(request, done, status, body)

    def _sign(
        self, request: rest.Request[Any], key: ApiKey, act: Act, leave_by: float
    ) -> signer.Signed:
        """Waits for the key's turn, but not past the slot: then raises `KeyBusy`. A slot that was
        taken before a block, which came while this one stood in line, is worth nothing."""
        while True:
            try:
                return signer.signed(key, f"/v2/{request.path}", request.body.encode(), act)
            except KeyBusy as busy:
                _wait_in_line(busy, leave_by, urgent=act == "cancel")
            except DatabaseError as error:
                raise LimiterClosed(type(error).__name__) from None
            if self._limiter.blocked_for() > 0:
                raise SlotMissed

    def _judged(self, request: rest.Request[T], done: signer.Signed, status: int, body: bytes) -> T:
        """The parsed answer; the key's nonces learn whether theirs was taken."""
        try:
            result = self._parse(request, status, body)
        except NonceRefused:
            _note(signer.nonce_refused, done)
            raise
        except Rejected as error:
            if not isinstance(error, AuthRefused):  # refused before or after its nonce: not told
                _note(signer.nonce_accepted, done)
            raise
        _note(signer.nonce_accepted, done)
        return result

    def _parse(self, request: rest.Request[T], status: int, body: bytes) -> T:
        try:
            return rest.parse(request, status, body)
        except RateLimited as limited:
            self._unsaved_block = (request.scope, time.monotonic() + limited.retry_after)
            with suppress(LimiterClosed):
                self._save_block()
            raise

    def _save_block(self) -> None:
        """Tell every process of the block; when the database was away, before the next call."""
        if self._unsaved_block is None:
            return
        scope, until = self._unsaved_block
        self._limiter.block(scope, max(0.0, until - time.monotonic()))
        self._unsaved_block = None

    def _send(
        self, request: rest.Request[Any], leave_by: float, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Status and body. Neither address, query nor headers in what it raises."""
        departure = _Departure(leave_by)
        token = _departure.set(departure)
        try:
            with SECONDS.labels(request.scope).time():
                return self._exchange_bytes(request, headers)
        except (requests.RequestException, HTTPError) as error:
            kind = NoReply if departure.begun else Unreachable
            raise kind(type(error).__name__) from None
        finally:
            _departure.reset(token)

    def _exchange_bytes(
        self, request: rest.Request[Any], headers: dict[str, str] | None
    ) -> tuple[int, bytes]:
        with self._session.request(
            request.method,
            request.url(self.exchange),
            data=request.body.encode() or None,
            headers=headers,
            timeout=(self._patience.connect, self._patience.read),
            allow_redirects=False,
            stream=True,
        ) as response:
            return response.status_code, self._body(response)

    def _body(self, response: requests.Response) -> bytes:
        """Piece by piece, since a reply may drip for ever, or never stop."""
        whole_by = time.monotonic() + self._patience.whole
        body = bytearray()
        while piece := response.raw.read1(READ_PIECE, decode_content=True):
            body += piece
            if len(body) > rest.MAX_BODY:
                raise unreadable(response.status_code, b"(more than 2 MiB)")
            if time.monotonic() > whole_by:
                raise NoReply("TooSlow")
        return bytes(body)


def _is_read(request: rest.Request[Any], lane: Lane) -> bool:
    """By its path too: a caller may have taken the wrong lane."""
    return ACTS[lane] == "read" and request.path.startswith(READS)


def _note(learn: Callable[[signer.Signed], object], done: signer.Signed) -> None:
    """What the nonces cannot be taught now they learn from the next answer; this one stands."""
    try:
        learn(done)
    except DatabaseError as error:
        log.warning("nonces not told", key=str(done.key), problem=type(error).__name__)


def _wait_in_line(busy: KeyBusy, until: float, *, urgent: bool) -> None:
    """Until the key is free again. Raises `busy` when that is not before then."""
    wait = busy.wait_us / 1_000_000
    if urgent:
        wait = min(wait, CANCEL_ASKS_EVERY)
    if time.monotonic() + wait >= until:
        raise busy
    give_back_connection()
    time.sleep(wait)


@cache
def client() -> RestClient:
    """The process's client."""
    return RestClient(exchange())


# A child that shared its parent's connections would read its parent's answers.
os.register_at_fork(after_in_child=client.cache_clear)
