"""The answers to order calls: notifications, the same acts by REST and by socket.

`[MTS,TYPE,MESSAGE_ID,null,DATA,CODE,STATUS,TEXT]`. As recorded: a submit by REST says its time in
seconds and nests the row once more, by socket in seconds with a fraction and flat; update and
cancel are flat and in ms, and show the order as it was before. What a socket is refused comes as
ERROR.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from market.sandbox.calls import CALLS, permit
from market.sandbox.keys import Key
from market.sandbox.order_desk import OrderDesk, Rejected
from market.sandbox.prices import spell
from market.sandbox.venue import Venue
from market.sandbox.wire import Denied

MOST_OPERATIONS = 75
Body = dict[str, Any]


class Notifications:
    """Carries out order calls."""

    def __init__(self, desk: OrderDesk, venue: Venue) -> None:
        self._desk, self._venue = desk, venue
        self._acts: dict[str, tuple[str, Callable[[Key, Body, float, bool], list[Any]]]] = {
            "on": ("auth/w/order/submit", self.submit),
            "ou": ("auth/w/order/update", self.update),
            "oc": ("auth/w/order/cancel", self.cancel),
            "oc_multi": ("auth/w/order/cancel/multi", self.cancel_multi),
            "ox_multi": ("auth/w/order/multi", self.multi),
        }

    def by_socket(self, key: Key, code: str, payload: Any, now: float) -> list[Any] | None:
        """The answer to an input of channel 0; None when there is no such input."""
        if code not in self._acts:
            return None
        body = {"ops": payload} if code == "ox_multi" else payload
        return self._safely(key, code, body if isinstance(body, dict) else {}, now)

    def submit(self, key: Key, body: Body, now: float, socket: bool = False) -> list[Any]:
        mts = round(now, 3) if socket else int(now)
        try:
            rows = self._desk.submit(key.user, key.key, body, now)
        except Rejected as rejected:
            return _refusal(mts, "on-req", body, rejected.args[0])
        text = f"Submitting {len(rows)} orders."
        if socket:
            text = f"Submitting {self._said(rows[0], rows[0][6])}."
        return _success(mts, "on-req", rows[0] if socket else rows, text)

    def update(self, key: Key, body: Body, now: float, socket: bool = False) -> list[Any]:
        try:
            row, order = self._desk.update(key.user, body, now)
        except Rejected as rejected:
            return _refusal(int(now * 1000), "ou-req", body, rejected.args[0])
        text = f"Submitting update to {self._said(row, abs(order.amount))}."
        return _success(int(now * 1000), "ou-req", row, text)

    def cancel(self, key: Key, body: Body, now: float, socket: bool = False) -> list[Any]:
        row = self._desk.cancel(key.user, body, now)
        text = f"Submitted for cancellation; waiting for confirmation (ID: {row[0]})."
        return _success(int(now * 1000), "oc-req", row, text)

    def cancel_multi(self, key: Key, body: Body, now: float, socket: bool = False) -> list[Any]:
        rows = self._desk.cancel_multi(key.user, body, now)
        text = f"Submitting {len(rows)} order cancellations."
        return _success(int(now * 1000), "oc_multi-req", rows, text)

    def multi(self, key: Key, body: Body, now: float, socket: bool = False) -> list[Any]:
        ops = body.get("ops")
        if not isinstance(ops, list) or not 0 < len(ops) <= MOST_OPERATIONS:
            raise Denied(10001, "ops: invalid")
        answers = []
        for op in ops:
            if not (isinstance(op, list) and len(op) == 2 and isinstance(op[1], dict)):
                raise Denied(10001, "ops: invalid")
            if op[0] not in self._acts or op[0] == "ox_multi":
                raise Denied(10001, "ops: invalid")
            answers.append(self._safely(key, op[0], op[1], now, socket=False))
        text = f"Submitting {len(answers)} order operations."
        return _success(int(now * 1000), "ox_multi-req", answers, text)

    def _safely(
        self, key: Key, code: str, body: Body, now: float, *, socket: bool = True
    ) -> list[Any]:
        """An act whose refusal is a notification, whatever the reason."""
        name, act = self._acts[code]
        try:
            permit(key.permissions, CALLS[name])
            return act(key, body, now, socket)
        except Denied as denied:
            return _refusal(int(now * 1000), f"{code}-req", body, denied.text)

    def _said(self, row: list[Any], amount: Decimal) -> str:
        """`exchange limit buy order for 0.1 BTC`."""
        side = "buy" if row[7] > 0 else "sell"
        base = self._venue.listed[row[3]].base
        return f"{row[8].lower()} {side} order for {spell(float(amount))} {base}"


def _success(mts: float, kind: str, data: Any, text: str) -> list[Any]:
    return [mts, kind, None, None, data, None, "SUCCESS", text]


def _refusal(mts: float, kind: str, body: Body, text: str) -> list[Any]:
    """The order as far as it came: no id, what was asked for, nothing else."""
    row: list[Any] = [None] * 32
    row[0], row[2], row[3] = body.get("id"), body.get("cid"), body.get("symbol")
    row[6] = row[7] = _number(body.get("amount"))
    row[8], row[16] = body.get("type"), _number(body.get("price"))
    return [mts, kind, None, None, row, None, "ERROR", text]


def _number(value: Any) -> Any:
    """Numbers come back as numbers, whatever they were sent as."""
    try:
        number = Decimal(value) if isinstance(value, str) else value
    except ArithmeticError:
        return None
    return None if isinstance(number, Decimal) and not number.is_finite() else number
