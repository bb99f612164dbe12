"""Strict parser of a WebSocket server's frames (RFC 6455), without I/O."""

import zlib
from dataclasses import dataclass

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
MAX_SIZE = 8 << 20
SYNC_TAIL = b"\x00\x00\xff\xff"


class Malformed(Exception):
    """The server sent what the protocol forbids, or a fragment, which no peer here sends."""


@dataclass(frozen=True, slots=True)
class Frame:
    opcode: int
    payload: bytes
    size: int
    """Bytes on the wire, header included."""


def client_frame(opcode: int, payload: bytes = b"") -> bytes:
    """A control frame with the mask 0, which leaves the payload as it is."""
    if len(payload) > 125:
        raise ValueError("a control frame carries at most 125 bytes")
    return bytes((0x80 | opcode, 0x80 | len(payload))) + b"\0\0\0\0" + payload


class FrameParser:
    """Bytes in, whole frames out. With `deflate`, compressed messages are inflated."""

    def __init__(self, *, deflate: bool = False, server_takeover: bool = True) -> None:
        self._data = bytearray()
        self._deflate = deflate
        self._takeover = server_takeover
        self._inflater = zlib.decompressobj(wbits=-15)

    def receive(self, data: bytes) -> list[Frame]:
        self._data += data
        frames = []
        while frame := self._next():
            frames.append(frame)
        return frames

    def _next(self) -> Frame | None:
        data = self._data
        if len(data) < 2:
            return None
        size = data[1] & 127
        head = {126: 4, 127: 10}.get(size, 2)
        if len(data) < head:
            return None
        if head > 2:
            size = int.from_bytes(data[2:head], "big")
        self._check(data[0], data[1], head, size)
        if len(data) < head + size:
            return None
        payload = bytes(data[head : head + size])
        opcode, compressed = data[0] & 15, bool(data[0] & 0x40)
        del data[: head + size]
        return Frame(opcode, self._inflate(payload) if compressed else payload, head + size)

    def _check(self, first: int, second: int, head: int, size: int) -> None:
        opcode = first & 15
        control = opcode >= CLOSE
        if opcode not in (TEXT, CLOSE, PING, PONG):
            raise Malformed(f"opcode {opcode}")
        if not first & 0x80:
            raise Malformed("a fragment")
        if first & 0x30 or (first & 0x40 and (control or not self._deflate)):
            raise Malformed("reserved bits")
        if second & 0x80:
            raise Malformed("a masked frame from a server")
        if size < {2: 0, 4: 126, 10: 65536}[head]:
            raise Malformed("a length longer than needed")
        if size > (125 if control else MAX_SIZE):
            raise Malformed(f"{size} bytes")

    def _inflate(self, payload: bytes) -> bytes:
        if not self._takeover:
            self._inflater = zlib.decompressobj(wbits=-15)
        try:
            return self._inflater.decompress(payload + SYNC_TAIL)
        except zlib.error as error:
            raise Malformed(f"deflate: {error}") from error
