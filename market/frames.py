"""WebSocket text frames from server to browser (RFC 6455 section 5.2): final, unmasked."""

import struct

_TEXT = 0x81  # FIN and opcode 1


def text_frame(text: bytes) -> bytes:
    """`text` (UTF-8) as one whole frame, ready for the wire."""
    length = len(text)
    if length < 126:
        return bytes((_TEXT, length)) + text
    if length < 65_536:
        return struct.pack("!BBH", _TEXT, 126, length) + text
    return struct.pack("!BBQ", _TEXT, 127, length) + text


def text_of(frame: bytes) -> bytes:
    """The text that `text_frame` made this frame of."""
    return frame[{126: 4, 127: 10}.get(frame[1], 2) :]
