"""The account's side of WebSocket v2: log-in, channel 0 and its snapshots.

Facts are those of docs.bitfinex.com (ws-auth) and of a recorded log-in (2021): the snapshots come
in the order `ps ws os fos fcs fls`, then one `wu` a wallet, then `bu`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import uuid4

from market.sandbox.calls import caps
from market.sandbox.keys import Key, Keys, login_call
from market.sandbox.notifications import Notifications
from market.sandbox.order_book import OrderBook
from market.sandbox.order_desk import OrderDesk
from market.sandbox.positions import Positions
from market.sandbox.rules import Rules
from market.sandbox.stream import (
    HEARTBEAT_SECONDS,
    SEQ_ALL,
    TIMESTAMP,
    Close,
    Out,
    Session,
    event_text,
)
from market.sandbox.venue import Venue
from market.sandbox.wallets import Bank
from market.sandbox.wire import Denied, Notice, encode

CANCEL_ON_DISCONNECT = 4


class Rooms(Protocol):
    """What this side needs of the house."""

    keys: Keys
    bank: Bank
    rules: Rules
    orders: OrderBook
    positions: Positions
    desk: OrderDesk
    notifications: Notifications
    venue: Venue


@dataclass(eq=False)
class Login:
    """What a connection became by its log-in."""

    key: Key
    filters: frozenset[str]
    flags: int
    sequence: int = 0

    def wants(self, notice: Notice) -> bool:
        """Whether the filters of the log-in let a frame through; none let everything."""
        return not self.filters or any(word in self.filters for word in _words(notice))


class Private:
    """Who is logged in where; implements `stream.AccountSide`."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._logins: dict[Session, Login] = {}

    def handle(self, session: Session, message: Any, now: float) -> list[Out] | None:
        if isinstance(message, list):
            return self._input(session, message, now)
        if not isinstance(message, dict):
            return None
        if message.get("event") == "auth":
            return self._login(session, message, now)
        if message.get("event") == "unauth" and session in self._logins:
            self._leave(session, now)
            return [event_text("unauth", status="OK", chanId=0)]
        return None

    def leave(self, session: Session, now: float) -> None:
        self._leave(session, now)

    def key_gone(self, text: str) -> list[tuple[Session, list[Out]]]:
        """The key was deleted: its connections end."""
        return [
            (session, [Close(1008, "apikey: invalid")])
            for session, login in self._logins.items()
            if login.key.key == text
        ]

    def tell(self, notices: Iterable[Notice], now: float) -> list[tuple[Session, list[Out]]]:
        """The frames of what happened, by connection."""
        out: dict[Session, list[Out]] = {}
        for notice in notices:
            for session, login in self._logins.items():
                if login.key.user == notice.user and login.wants(notice):
                    out.setdefault(session, []).append(self._frame(session, login, notice, now))
        return list(out.items())

    def _input(self, session: Session, message: list[Any], now: float) -> list[Out]:
        """`[0,CODE,null,{…}]`; the answer, then what it brought about in `tell`."""
        login = self._logins.get(session)
        if login is None or len(message) != 4 or message[0] != 0:
            return []
        code, payload = str(message[1]), message[3]
        answer = self._rooms.notifications.by_socket(login.key, code, payload, now)
        if answer is None:
            return []
        notice = Notice(login.key.user, "n", answer)
        return [self._frame(session, login, notice, now)] if login.wants(notice) else []

    def _login(self, session: Session, message: dict[str, Any], now: float) -> list[Out]:
        try:
            key = self._admit(session, message, now)
        except Denied as denied:
            self._rooms.rules.counters.error(denied.code)
            return [
                event_text("auth", status="FAILED", chanId=0, code=denied.code, msg=denied.text)
            ]
        filters = message.get("filter") or []
        login = Login(key, frozenset(map(str, filters)), int(message.get("dms") or 0))
        self._logins[session] = login
        session.beats[0] = now + HEARTBEAT_SECONDS
        session.due = min(session.due, session.beats[0])
        welcome = event_text(
            "auth", status="OK", chanId=0, userId=self._rooms.bank.user(key.user, now).number,
            auth_id=str(uuid4()), caps=caps(key.permissions),
        )  # fmt: skip
        notices = [n for n in self._snapshots(key.user) if login.wants(n)]
        return [welcome, *(self._frame(session, login, notice, now) for notice in notices)]

    def _admit(self, session: Session, message: dict[str, Any], now: float) -> Key:
        if session in self._logins:
            raise Denied(10100, "auth: dup")
        if not self._rooms.rules.login(session.address, now):
            raise Denied(11010, "ratelimit: error")
        call = login_call(message)
        if call.payload not in (f"AUTH{call.nonce}".encode(), f"AUTH{call.nonce * 2}".encode()):
            raise Denied(10111, "auth: payload invalid")
        return self._rooms.keys.admit(call, now)

    def _leave(self, session: Session, now: float) -> None:
        login = self._logins.pop(session, None)
        if login is None:
            return
        session.beats.pop(0, None)
        session.idle_since = now
        if login.flags & CANCEL_ON_DISCONNECT:
            self._rooms.desk.cancel_all(login.key.user, now)

    def _snapshots(self, user: str) -> list[Notice]:
        rooms, wallets = self._rooms, self._rooms.bank.wallets(user)
        positions = rooms.positions.open(user)
        worth, gain = rooms.positions.worth(user), rooms.positions.base(user)[0]
        rows: list[tuple[str, Any]] = [
            ("ps", [position.row() for position in positions]),
            ("ws", [wallet.row(available=False) for wallet in wallets]),
            ("os", [order.row() for order in rooms.orders.open(user)]),
            ("fos", []), ("fcs", []), ("fls", []),
            *(("wu", wallet.row()) for wallet in wallets),
            ("bu", [worth, worth + gain]),
            *(("pu", p.row(rooms.venue.last(p.symbol))) for p in positions),
        ]  # fmt: skip
        return [Notice(user, code, row) for code, row in rows]

    def _frame(self, session: Session, login: Login, notice: Notice, now: float) -> str:
        """`[0,CODE,ROW]`; with SEQ_ALL the public number, which answers to inputs go without, and
        the account's own."""
        tail = ""
        if session.flags & SEQ_ALL:
            if not (notice.code == "n" and str(notice.row[1]).endswith("-req")):
                session.sequence += 1
                tail = f",{session.sequence}"
            login.sequence += 1
            tail += f",{login.sequence}"
        if session.flags & TIMESTAMP:
            tail += f",{int(now * 1000)}"
        return f'[0,"{notice.code}",{encode(notice.row)}{tail}]'


def _words(notice: Notice) -> Iterable[str]:
    """The filter words that let a frame through."""
    code, row = notice.code, notice.row
    if code == "n":
        return ("notify",)
    if code == "bu":
        return ("balance",)
    if code in ("ws", "wu"):
        return ("wallet", f"wallet-{row[0]}-{row[1]}") if code == "wu" else ("wallet",)
    if code.startswith("f"):
        return ("funding",)
    symbols = [item for item in row[:4] if isinstance(item, str)] if row else []
    return ("trading", *(f"trading-{symbol}" for symbol in symbols))
