"""WebSocket text messages from server to browser as one frame each: final, unmasked (RFC 6455
section 5.2), plain or compressed (RFC 7692).

A message is made of parts that are joined, so that a part which many messages share is packed
once. A compressed part refers to nothing before it, so it fits behind any other part and into any
browser's stream.
"""

import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

_TEXT = 0x81  # FIN and opcode 1
_DEFLATED_TEXT = 0xC1  # and RSV1
_SYNC_TAIL = 4  # bytes 00 00 FF FF, which RFC 7692 section 7.2.1 leaves out


class Encoding(NamedTuple):
    """`pack` makes a part of UTF-8 text; `frame` makes a whole frame of the joined parts."""

    pack: Callable[[bytes], bytes]
    frame: Callable[[bytes], bytes]


def text_frame(text: bytes) -> bytes:
    """`text` (UTF-8) as one whole frame, ready for the wire."""
    return _frame(_TEXT, text)


def text_of(frame: bytes) -> bytes:
    """The text that `text_frame` made this frame of."""
    return frame[{126: 4, 127: 10}.get(frame[1], 2) :]


def deflated(text: bytes) -> bytes:
    """`text` as deflate blocks that end on a byte."""
    # An 8 KiB window: the size of zlib's own 32 KiB window here, for less time and memory.
    compressor = zlib.compressobj(level=6, wbits=-13, memLevel=6)
    return compressor.compress(text) + compressor.flush(zlib.Z_SYNC_FLUSH)


def deflated_frame(parts: bytes) -> bytes:
    """Joined parts of `deflated` as one whole frame."""
    return _frame(_DEFLATED_TEXT, parts[:-_SYNC_TAIL])


def _frame(first: int, payload: bytes) -> bytes:
    length = len(payload)
    if length < 126:
        return bytes((first, length)) + payload
    if length < 65_536:
        return struct.pack("!BBH", first, 126, length) + payload
    return struct.pack("!BBQ", first, 127, length) + payload


PLAIN = Encoding(bytes, text_frame)
DEFLATED = Encoding(deflated, deflated_frame)
