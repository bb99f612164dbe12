"""`loadgen.c` in pure asyncio, for machines without a C compiler: same arguments, same result.

It needs about twenty times the CPU, so figures at 1,000 clients say more about it than about the
server; `deflate=1`, which the C program does not have, makes it offer and inflate
permessage-deflate. Phases and the meaning of ticks, rows and stamps: see `loadgen.c`.
"""

import asyncio
import contextlib
import itertools
import json
import os
import re
import resource
import socket
import sys
import time
from collections.abc import Iterator
from enum import Enum
from typing import Any

from tests.bench.frames import CLOSE, PING, PONG, TEXT, FrameParser, Malformed, client_frame

STAMP_BASE = 10**15
CONNECTING_AT_ONCE = 64
SLOW_RCVBUF = 8192  # the line is slow, not the reader: little may wait on our side
AGE_BIN_S = 5
RETRY_S = 0.5
TCP_ESTABLISHED = 1
ROW = re.compile(rb'"tB(\d{4})USD"[^\]}]*?(?<!\d)(\d{16})(?!\d)')
COUNTED = (
    *("updates", "frames", "bytes", "slow_updates", "malformed", "backwards", "repeats"),
    *("pings_sent", "pongs", "pings_got", "lost", "refused"),
)
SYMBOL = re.compile(rb'"tB\d{4}USD"')
DEFAULTS: dict[str, int | str] = {
    **{"port": 0, "feed": 0, "clients": 50, "symbols": 50, "rate": 20, "warm": 1000},
    **{"window": 3000, "drain": 2000, "stalled": 0, "slow": 0, "paces": "20000", "pid": 0},
    **{"ping": 0, "storm": 0, "timeout": 20000, "path": "/", "origin": "", "cookie": ""},
    **{"deflate": 0},
}


class Kind(Enum):
    FAST = 0
    SLOW = 1
    STALLED = 2


def parse(arguments: list[str]) -> dict[str, Any]:
    """`name=value` arguments over the defaults; an unknown name is an error."""
    options: dict[str, Any] = dict(DEFAULTS)
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals or name not in DEFAULTS:
            raise SystemExit(f"unknown argument {argument}")
        options[name] = type(DEFAULTS[name])(value)
    return options


def summary(values_ms: list[float]) -> dict[str, float]:
    """Count and percentiles in ms."""
    values = sorted(values_ms)

    def at(share: float) -> float:
        return round(values[int(share * (len(values) - 1))], 3) if values else 0.0

    return {"n": len(values), "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "max": at(1)}


def server_cpu(pid: int) -> float:
    """CPU seconds of a process with all its threads (the clock that clock_getcpuclockid names)."""
    try:
        return time.clock_gettime((~pid << 3) | 2) if pid else 0.0
    except OSError:
        return 0.0


class Client:
    def __init__(self, load: "Load", kind: Kind, pace: int) -> None:
        self.kind = kind
        self.pace = pace
        self.open = False
        self.news = 0.0
        self.seen = [0] * load.symbols
        self.socket = self._new_socket()
        self._load = load
        self._parser = FrameParser()
        self._allowed = 0.0

    async def connect(self) -> None:
        """Raises OSError when refused; in a storm it comes back instead, as a browser would."""
        while True:
            try:
                return await self._connect()
            except OSError:
                self._load.counts["refused"] += 1
                self.socket.close()
                if not self._load.options["storm"]:
                    raise
                await asyncio.sleep(RETRY_S)
                self.socket = self._new_socket()

    def _new_socket(self) -> socket.socket:
        made = socket.socket()
        made.setblocking(False)
        if self.kind is Kind.SLOW:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SLOW_RCVBUF)
        return made

    async def _connect(self) -> None:
        load, loop = self._load, asyncio.get_running_loop()
        began = time.monotonic()
        await loop.sock_connect(self.socket, ("127.0.0.1", load.options["port"]))
        await loop.sock_sendall(self.socket, load.request)
        reply = b""
        while b"\r\n\r\n" not in reply:
            data = await loop.sock_recv(self.socket, 4096)
            if not data:
                raise ConnectionError("closed during the handshake")
            reply += data
        head, _, rest = reply.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            raise ConnectionError(head[:64].decode("latin-1"))
        load.handshakes.append((time.monotonic() - began) * 1000)
        self._parser = FrameParser(
            deflate=b"permessage-deflate" in head,
            server_takeover=b"server_no_context_takeover" not in head,
        )
        self.open = True
        if self.kind is Kind.FAST:
            loop.add_reader(self.socket, self.receive)
        self.take(rest)

    def receive(self, limit: int = 262144) -> int:
        try:
            data = self.socket.recv(limit)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            data = b""
        if not data:
            self.close(lost=True)
        self.take(data)
        return len(data)

    def receive_slowly(self, seconds: float) -> None:
        self._allowed = min(self._allowed + self.pace * seconds, self.pace)
        if self.open and self._allowed >= 256:
            self._allowed -= self.receive(int(self._allowed))

    def take(self, data: bytes) -> None:
        load = self._load
        try:
            frames = self._parser.receive(data)
        except Malformed:
            load.counts["malformed"] += 1
            self.close(lost=True)
            return
        for frame in frames:
            if load.in_window():
                load.counts["bytes"] += frame.size
            if frame.opcode == TEXT:
                load.take_text(self, frame.payload)
            elif frame.opcode == PING:
                load.counts["pings_got"] += 1
                self.send(client_frame(PONG, frame.payload))
            elif frame.opcode == PONG:
                load.counts["pongs"] += 1
            elif frame.opcode == CLOSE:
                self.send(client_frame(CLOSE, frame.payload[:2]))
                self.close(lost=True)

    def send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self.socket.send(data)

    def close(self, *, lost: bool) -> None:
        if self.open:
            asyncio.get_running_loop().remove_reader(self.socket)
            self._load.counts["lost"] += lost
        self.open = False
        self.socket.close()

    def dropped(self) -> bool:
        """Whether the server gave up a client that never reads: only the kernel knows."""
        if self.kind is not Kind.STALLED or not self.open:
            return False
        info = self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)
        return info[0] != TCP_ESTABLISHED


class Load:
    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.symbols: int = options["symbols"]
        self.t0 = time.monotonic_ns()
        self.window = (0, 0)
        self.ticking = False
        self.last_tick = 0
        self.ticks = self.window_ticks = 0
        self.sent = [0] * self.symbols
        self.latency: list[float] = []
        self.handshakes: list[float] = []
        self.ages: list[list[float]] = [
            [] for _ in range(options["window"] // 1000 // AGE_BIN_S + 1)
        ]
        self.counts = dict.fromkeys(COUNTED, 0)
        paces = itertools.cycle(int(pace) for pace in options["paces"].split(","))
        self.clients = [Client(self, kind, next(paces)) for kind in self._kinds()]
        self.request = self._request()

    def _kinds(self) -> Iterator[Kind]:
        slow_from, fast_from = (
            self.options["stalled"],
            self.options["stalled"] + self.options["slow"],
        )
        for n in range(self.options["clients"]):
            yield Kind.STALLED if n < slow_from else Kind.SLOW if n < fast_from else Kind.FAST

    def _request(self) -> bytes:
        headers = {
            "Host": f"127.0.0.1:{self.options['port']}",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
            "Origin": self.options["origin"],
            "Cookie": self.options["cookie"],
            "Sec-WebSocket-Extensions": "permessage-deflate" * self.options["deflate"],
        }
        lines = [f"{name}: {value}\r\n" for name, value in headers.items() if value]
        return f"GET {self.options['path']} HTTP/1.1\r\n{''.join(lines)}\r\n".encode()

    def in_window(self) -> bool:
        return self.window[0] <= time.monotonic_ns() < self.window[1]

    def take_text(self, client: Client, text: bytes) -> None:
        rows = ROW.findall(text)
        if len(rows) != len(SYMBOL.findall(text)) or text[:1] + text[-1:] not in (b"{}", b"[]"):
            self.counts["malformed"] += 1
        now = time.monotonic_ns()
        counted = self.window[0] <= now < self.window[1]
        self.counts["frames"] += counted
        for symbol, stamp in rows:
            self._note(client, int(symbol), int(stamp), now if counted else 0)

    def _note(self, client: Client, symbol: int, stamp: int, now: int) -> None:
        if stamp <= client.seen[symbol]:
            self.counts["repeats" if stamp == client.seen[symbol] else "backwards"] += 1
            return
        client.seen[symbol] = stamp
        client.news = time.monotonic_ns()
        if not now:
            return
        late = (now - self.t0 - (stamp - STAMP_BASE)) / 1e6
        if client.kind is Kind.FAST:
            self.counts["updates"] += 1
            self.latency.append(late)
        else:
            self.counts["slow_updates"] += 1
            self.ages[(now - self.window[0]) // (AGE_BIN_S * 10**9)].append(late)

    async def connect_all(self) -> None:
        gate = asyncio.Semaphore(len(self.clients) if self.options["storm"] else CONNECTING_AT_ONCE)

        async def one(client: Client) -> None:
            async with gate:
                with contextlib.suppress(OSError):
                    await client.connect()

        waiting = [asyncio.create_task(one(client)) for client in self.clients]
        _, late = await asyncio.wait(waiting, timeout=self.options["timeout"] / 1000)
        for task in late:
            task.cancel()

    async def send_ticks(self, _: asyncio.StreamReader, feed: asyncio.StreamWriter) -> None:
        while not self.ticking:
            await asyncio.sleep(0.01)
        began = time.monotonic()
        while self.ticking:
            due = int((time.monotonic() - began) * self.options["rate"])
            feed.writelines([self._tick() for _ in range(due - self.ticks)])
            await feed.drain()
            await asyncio.sleep(0.002)

    def _tick(self) -> bytes:
        now = time.monotonic_ns()
        symbol = self.ticks % self.symbols
        stamp = now - self.t0 + STAMP_BASE
        last = (0.01, 1, 30, 400, 20000)[symbol % 5] * (1 + self.ticks * 37 % 101 / 101)
        self.sent[symbol], self.last_tick = stamp, now
        self.ticks += 1
        self.window_ticks += self.in_window()
        prices = [f"{last * share:.5g}" for share in (0.9999, 1.0001, 0.01, 1, 1.05, 0.95)]
        bid, ask, change, price, high, low = prices
        values = f"{bid},10.25,{ask},20.5,{change},0.0123,{price},{stamp},{high},{low}"
        return f"[{symbol},[{values}]]\n".encode()

    async def read_slowly(self) -> None:
        before = pinged = time.monotonic()
        while True:
            await asyncio.sleep(0.01)
            now = time.monotonic()
            for client in self.clients:
                if client.kind is Kind.SLOW:
                    client.receive_slowly(now - before)
            before = now
            if self.options["ping"] and now - pinged > self.options["ping"] / 1000:
                pinged = now
                for client in self.clients:
                    if client.open and client.kind is not Kind.STALLED:
                        client.send(client_frame(PING, b"bench"))
                        self.counts["pings_sent"] += 1

    def lagging(self) -> list[Client]:
        return [
            c for c in self.clients if c.open and c.kind is not Kind.STALLED and c.seen != self.sent
        ]

    async def run(self) -> dict[str, Any]:
        options, pid = self.options, self.options["pid"]
        if options["rate"]:
            await asyncio.start_server(self.send_ticks, "127.0.0.1", options["feed"])
        background = asyncio.create_task(self.read_slowly())
        before, began = server_cpu(pid), time.monotonic()
        await self.connect_all()
        connect_s, connect_cpu = time.monotonic() - began, server_cpu(pid) - before
        opened = sum(client.open for client in self.clients)
        print("connected", file=sys.stderr, flush=True)
        cpu_s = own_s = 0.0
        if not options["storm"]:
            self.ticking = bool(options["rate"])
            await asyncio.sleep(options["warm"] / 1000)
            cpu_s, own_s = server_cpu(pid), time.process_time()
            now = time.monotonic_ns()
            self.window = (now, now + options["window"] * 10**6)
            print("start", file=sys.stderr, flush=True)
            await asyncio.sleep(options["window"] / 1000)
            cpu_s, own_s = server_cpu(pid) - cpu_s, time.process_time() - own_s
            self.ticking = False
            print("stop", file=sys.stderr, flush=True)
            until = time.monotonic() + options["drain"] / 1000
            while self.lagging() and time.monotonic() < until:
                await asyncio.sleep(0.005)
        background.cancel()
        return {
            **{"clients": len(self.clients), "opened": opened},
            **{"connect_s": round(connect_s, 3), "connect_cpu_s": round(connect_cpu, 4)},
            **{"window_s": options["window"] / 1000},
            **{"cpu_s": round(cpu_s, 4), "loader_cpu_s": round(own_s, 4)},
            **{"ticks": self.window_ticks, **self.counts},
            **{"dropped": sum(client.dropped() for client in self.clients)},
            **self._convergence(),
            **{"handshake": summary(self.handshakes), "latency": summary(self.latency)},
            "age": [
                {"to_s": (n + 1) * AGE_BIN_S, "ms": summary(ages)}
                for n, ages in enumerate(self.ages)
                if options["slow"]
            ],
        }

    def _convergence(self) -> dict[str, Any]:
        late = self.lagging()

        def since_last_tick(client: Client) -> float:
            return round((client.news - self.last_tick) / 1e6, 1)

        fast = [c for c in self.clients if c.open and c.kind is Kind.FAST]
        slow = [c for c in self.clients if c.kind is Kind.SLOW]
        return {
            "unconverged": sum(c in late for c in fast),
            "converged_ms": max((since_last_tick(c) for c in fast if c not in late), default=0.0),
            "slow": [
                {"pace": c.pace, "converged_ms": -1.0 if c in late else since_last_tick(c)}
                for c in slow
            ],
        }


def main() -> None:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    result = asyncio.run(Load(parse(sys.argv[1:])).run())
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()
    os._exit(0)  # without waiting for the sockets' readers


if __name__ == "__main__":
    main()
