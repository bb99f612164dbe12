"""Processes that sign with one key while somebody stops it.

`python -m tests.faults.key_race race STOP PROCESSES ROUNDS LONGEST_PAUSE` prints the figures of all
rounds as one JSON line; it starts its workers itself. STOP is `revoke` or `halt`. All times are
readings of the machine's monotonic clock, in ns, so they compare across processes.
"""

import json
import os
import random
import signal
import socket
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from typing import IO, Any, cast

import django

from tests.installation import Process, start_python

PATH, BODY = "/v2/auth/w/order/submit", b"{}"
MS = 1_000_000
PAUSED = 0.05  # of all sends
TRIES_AFTER = 3
READ_SECONDS = 5.0


@dataclass
class Round:
    """What one worker did with one key: `sent` and `late` pair the grant's start with the time
    of the write, `dropped` missed its window, `granted` are the starts of all grants."""

    granted: list[int] = field(default_factory=list)
    sent: list[tuple[int, int]] = field(default_factory=list)
    dropped: int = 0
    busy: int = 0
    cancels_after: int = 0


class Worker:
    """Signs and writes until it is refused for good, then tries a few times more."""

    def __init__(self, wire: socket.socket, longest_pause: float) -> None:
        self.wire, self.longest_pause = wire, longest_pause

    def hammer(self, uuid: str, act: Any) -> Round:
        from accounts.errors import KeyBusy, KeyHalted, KeyRevoked
        from accounts.models import ApiKey
        from accounts.signer import WINDOW_NS, signed

        key, done, left = ApiKey.objects.get(pk=uuid), Round(), TRIES_AFTER
        while left:
            try:
                ready = signed(key, PATH, BODY, act)
            except KeyBusy as error:
                done.busy += 1
                time.sleep(error.wait_us / 1_000_000)
            except (KeyRevoked, KeyHalted):
                left -= 1
            else:
                asked = ready.window.closes_ns - WINDOW_NS
                done.granted.append(asked)
                self.send(ready, asked, done)
        if act == "place":
            done.cancels_after = self.cancel(key)
        return done

    def send(self, ready: Any, asked: int, done: Round) -> None:
        from accounts.errors import SendWindowMissed

        if random.random() < PAUSED:
            time.sleep(random.random() * self.longest_pause)
        time.sleep(ready.window.wait_ns(time.monotonic_ns()) / 1_000_000_000)
        try:
            ready.window.check(time.monotonic_ns())
        except SendWindowMissed:
            done.dropped += 1
        else:
            written_at = time.monotonic_ns()  # not the reading that was checked
            self.wire.sendall(b"%d\n" % ready.nonce)
            done.sent.append((asked, written_at))

    def cancel(self, key: Any) -> int:
        """A halt of orders lets a cancel through."""
        from accounts.errors import KeyBusy, KeyRevoked
        from accounts.signer import signed

        while True:
            try:
                signed(key, PATH, BODY, "cancel")
            except KeyBusy as error:
                time.sleep(error.wait_us / 1_000_000)
            except KeyRevoked:
                return 0
            else:
                return 1


def work(port: int, longest_pause: float) -> None:
    """One line in, a key and an act; one line out, what became of it."""
    django.setup()
    wire = socket.create_connection(("127.0.0.1", port))
    worker = Worker(wire, longest_pause)
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        if order["how"] == "hammer":
            print(json.dumps(asdict(worker.hammer(order["key"], order["act"]))), flush=True)
        else:
            print(sign_then_die(order["key"], order["how"]), flush=True)


def sign_then_die(uuid: str, how: str) -> str:
    """Freezes, or dies, between the signature and the first byte."""
    from accounts.errors import SendWindowMissed
    from accounts.models import ApiKey
    from accounts.signer import signed

    ready = signed(ApiKey.objects.get(pk=uuid), PATH, BODY)
    os.kill(os.getpid(), signal.SIGSTOP if how == "freeze" else signal.SIGKILL)
    try:
        ready.window.check(time.monotonic_ns())
    except SendWindowMissed as error:
        return json.dumps({"dropped_us_late": error.late_us})
    return json.dumps({"sent": True})


class Exchange:
    """Where the writes arrive: notes when each nonce came."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.arrivals: dict[int, int] = {}
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            wire, _ = self.listener.accept()
            threading.Thread(target=self.read, args=[wire.makefile("rb")], daemon=True).start()

    def read(self, lines: IO[bytes]) -> None:
        for line in lines:
            self.arrivals[int(line)] = time.monotonic_ns()

    def take(self, sent: int) -> dict[int, int]:
        """What came since asked last, once these threads have had time to read what was sent."""
        deadline = time.monotonic() + READ_SECONDS
        while len(self.arrivals) < sent and time.monotonic() < deadline:
            time.sleep(0.01)
        came, self.arrivals = self.arrivals, {}
        return came


class Workers:
    """Child processes of this driver."""

    def __init__(self, count: int, port: int, longest_pause: float) -> None:
        words = ["-m", "tests.faults.key_race", "work", str(port), str(longest_pause)]
        self.children = [start_python(words, os.environ) for _ in range(count)]
        for child in self.children:
            assert self.hear(child) == "ready"

    def tell(self, **order: str) -> None:
        for child in self.children:
            stdin = cast(IO[str], child.stdin)
            stdin.write(json.dumps(order) + "\n")
            stdin.flush()

    def hear(self, child: Process) -> str:
        return cast(IO[str], child.stdout).readline().strip()

    def rounds(self) -> list[Round]:
        return [Round(**json.loads(self.hear(child))) for child in self.children]

    def close(self) -> None:
        for child in self.children:
            child.kill()
            child.wait()


def prepare() -> Any:
    """A user, and the port of a fake exchange. Returns how a new armed key is made."""
    django.setup()
    from django.conf import settings

    from accounts import keys
    from accounts.models import User
    from tests.accounts import fakes

    settings.KEY_EXCHANGE_BACKEND = "tests.accounts.fakes.current"
    fakes.CURRENT.append(fakes.FakeExchange())
    owner, _ = User.objects.get_or_create(username="alice")

    def make_key() -> Any:
        name, secret = fakes.new_text(), fakes.new_text()
        key = keys.add_key(user=owner, label="race", api_key=name, api_secret=secret)
        return keys.arm_key(key=key, by=owner)

    return make_key


def race(stop: str, processes: int, count: int, longest_pause: float) -> dict[str, object]:
    make_key, exchange = prepare(), Exchange()
    workers = Workers(processes, exchange.port, longest_pause)
    found: list[dict[str, int]] = []
    try:
        for _ in range(count):
            found.append(one_round(stop, make_key(), workers, exchange))
    finally:
        workers.close()
    worst = {name: max(each[name] for each in found) for name in found[0] if name.startswith("ms_")}
    total = {name: sum(each[name] for each in found) for name in found[0] if name not in worst}
    return {"stop": stop, "rounds": count, **total, **worst}


def one_round(stop: str, key: Any, workers: Workers, exchange: Exchange) -> dict[str, int]:
    from accounts import keys
    from accounts.models import HaltLevel

    act = "place" if stop == "halt" else "read"
    workers.tell(how="hammer", key=str(key.pk), act=act)
    time.sleep(random.uniform(0.15, 0.6))
    if stop == "halt":
        keys.halt_keys(by=None, level=HaltLevel.ORDERS, reason="race")
    else:
        keys.revoke_key(key=key, by=None, reason="race")
    committed = time.monotonic_ns()
    rounds = workers.rounds()
    if stop == "halt":
        keys.halt_keys(by=None, level=HaltLevel.NONE, reason="over")
    return figures(rounds, committed, exchange.take(sum(len(each.sent) for each in rounds)))


def figures(rounds: list[Round], committed: int, arrivals: dict[int, int]) -> dict[str, int]:
    sent = [pair for each in rounds for pair in each.sent]
    granted = [asked for each in rounds for asked in each.granted]
    after = [now - committed for _, now in sent if now > committed]
    arrived = [at - committed for at in arrivals.values() if at > committed]
    return {
        "granted": len(granted),
        "granted_after_commit": sum(asked > committed for asked in granted),
        "sent": len(sent),
        "sent_later_than_250ms": sum(now - asked > 250 * MS for asked, now in sent),
        "sent_after_commit": len(after),
        "arrived": len(arrivals),
        "arrived_after_quiet": sum(late > 3000 * MS for late in arrived),
        "dropped": sum(each.dropped for each in rounds),
        "busy": sum(each.busy for each in rounds),
        "cancels_after_halt": sum(each.cancels_after for each in rounds),
        "ms_last_write_after_commit": max(after, default=0) // MS,
        "ms_last_arrival_after_commit": max(arrived, default=0) // MS,
    }


def frozen(seconds: float) -> dict[str, object]:
    """A worker is frozen between signature and send; meanwhile the key is revoked."""
    make_key, exchange = prepare(), Exchange()
    from accounts import keys

    workers = Workers(1, exchange.port, 0)
    try:
        key = make_key()
        workers.tell(how="freeze", key=str(key.pk))
        wait_for_grant(key)
        keys.revoke_key(key=key, by=None, reason="race")
        time.sleep(seconds)
        workers.children[0].send_signal(signal.SIGCONT)
        return dict(json.loads(workers.hear(workers.children[0])))
    finally:
        workers.close()


def killed() -> dict[str, object]:
    """A worker dies between signature and send; how long does the next one wait?"""
    make_key, exchange = prepare(), Exchange()
    from accounts.signer import signed

    workers = Workers(1, exchange.port, 0)
    try:
        key = make_key()
        workers.tell(how="die", key=str(key.pk))
        assert workers.children[0].wait(30) == -signal.SIGKILL
        before = time.monotonic_ns()
        ready = signed(key, PATH, BODY)
        ready.window.check(time.monotonic_ns())
        return {"ms_next_waits": (time.monotonic_ns() - before) // MS}
    finally:
        workers.close()


def wait_for_grant(key: Any) -> None:
    from accounts.models import ApiKey

    while not ApiKey.objects.filter(pk=key.pk, last_nonce__gt=0).exists():
        time.sleep(0.01)
    time.sleep(0.1)  # from the grant to the signal is a matter of microseconds


if __name__ == "__main__":
    what, *words = sys.argv[1:]
    if what == "work":
        work(int(words[0]), float(words[1]))
    elif what == "race":
        shown = race(words[0], int(words[1]), int(words[2]), float(words[3]))
        print(json.dumps(shown))
    elif what == "frozen":
        print(json.dumps(frozen(float(words[0]))))
    else:
        print(json.dumps(killed()))
