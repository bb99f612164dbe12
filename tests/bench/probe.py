"""What a process and its sockets cost, read from the kernel. Linux only."""

import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NLM_REQUEST_DUMP = 0x301
NLMSG_ERROR, NLMSG_DONE = 2, 3
INET_DIAG_SKMEMINFO = 7
ALL_STATES = 0xFFFFFFFF
DIAG_HEADER = 72  # struct inet_diag_msg
RMEM, FORWARD, WMEM_QUEUED = 0, 4, 5  # places in the SKMEMINFO array


def resident_kb(pid: int) -> int:
    """VmRSS of the process, in KB; 0 when it is gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def tcp_pages_kb() -> int:
    """Memory of all TCP sockets of the machine, both ends of loopback ones, in KB."""
    for line in Path("/proc/net/sockstat").read_text().splitlines():
        words = line.split()
        if words[0] == "TCP:":
            return int(words[words.index("mem") + 1]) * os.sysconf("SC_PAGESIZE") // 1024
    return 0


def socket_kb(port: int) -> list[float]:
    """Kernel memory of each IPv4 TCP socket with this local port, in KB (as `ss -m` shows it)."""
    request = struct.pack(
        "=BBBBI", socket.AF_INET, 6, 1 << (INET_DIAG_SKMEMINFO - 1), 0, ALL_STATES
    )
    request += bytes(48)
    header = struct.pack("=IHHII", 16 + len(request), SOCK_DIAG_BY_FAMILY, NLM_REQUEST_DUMP, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as diag:
        diag.settimeout(2)
        diag.send(header + request)
        return [kb for number, kb in _answers(diag) if number == port]


def _answers(diag: socket.socket) -> Iterator[tuple[int, float]]:
    while True:
        data = diag.recv(1 << 18)
        while len(data) >= 16:
            size, kind = struct.unpack_from("=IH", data)
            if kind in (NLMSG_DONE, NLMSG_ERROR):
                return
            yield _one(data[16:size])
            data = data[(size + 3) & ~3 :]


def _one(message: bytes) -> tuple[int, float]:
    (port,) = struct.unpack_from("!H", message, 4)
    rest = message[DIAG_HEADER:]
    while len(rest) >= 4:
        size, kind = struct.unpack_from("=HH", rest)
        if kind == INET_DIAG_SKMEMINFO:
            memory = struct.unpack_from(f"={(size - 4) // 4}I", rest, 4)
            return port, (memory[RMEM] + memory[FORWARD] + memory[WMEM_QUEUED]) / 1024
        rest = rest[(size + 3) & ~3 :]
    return port, 0.0


@dataclass(slots=True)
class Watch:
    """Memory of one server over a run; peaks count from `start()` on. `stalled` clients never
    read: theirs are the sockets with the most kernel memory.
    """

    pid: int
    port: int
    stalled: int = 0
    rss_before_kb: int = 0
    rss_start_kb: int = 0
    rss_peak_kb: int = 0
    rss_end_kb: int = 0
    tcp_start_kb: int = 0
    tcp_peak_kb: int = 0
    stalled_peak_kb: float = 0.0
    started: bool = False

    def before(self) -> None:
        self.rss_before_kb = resident_kb(self.pid)

    def start(self) -> None:
        self.started = True
        self.rss_start_kb = self.rss_peak_kb = resident_kb(self.pid)
        self.tcp_start_kb = tcp_pages_kb()

    def sample(self) -> None:
        if not self.started:
            return
        self.rss_end_kb = resident_kb(self.pid)
        self.rss_peak_kb = max(self.rss_peak_kb, self.rss_end_kb)
        self.tcp_peak_kb = max(self.tcp_peak_kb, tcp_pages_kb())
        if self.stalled:
            fullest = sorted(socket_kb(self.port))[-self.stalled :]
            self.stalled_peak_kb = max(self.stalled_peak_kb, sum(fullest) / self.stalled)

    def result(self) -> dict[str, float]:
        return {
            "rss_before_kb": self.rss_before_kb,
            "rss_start_kb": self.rss_start_kb,
            "rss_peak_kb": self.rss_peak_kb,
            "rss_end_kb": self.rss_end_kb,
            "tcp_start_kb": self.tcp_start_kb,
            "tcp_peak_kb": self.tcp_peak_kb,
            "stalled_peak_kb": round(self.stalled_peak_kb, 1),
        }
