import zlib

import pytest

from tests.bench.frames import PING, PONG, TEXT, Frame, FrameParser, Malformed, client_frame


def test_a_frame_that_comes_in_pieces_is_given_once_and_whole():
    parser = FrameParser()
    assert parser.receive(b"\x81\x05he") == []
    assert parser.receive(b"llo\x89\x00") == [Frame(TEXT, b"hello", 7), Frame(PING, b"", 2)]


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_every_length_form_is_read(size):
    if size < 126:
        length = bytes([size])
    elif size < 65536:
        length = b"\x7e" + size.to_bytes(2, "big")
    else:
        length = b"\x7f" + size.to_bytes(8, "big")
    (frame,) = FrameParser().receive(b"\x81" + length + b"x" * size)
    assert frame == Frame(TEXT, b"x" * size, 1 + len(length) + size)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x01\x01x", id="a fragment"),
        pytest.param(b"\x80\x01x", id="a continuation"),
        pytest.param(b"\x83\x01x", id="an unknown opcode"),
        pytest.param(b"\x82\x01x", id="binary, which no server here sends"),
        pytest.param(b"\xc1\x01x", id="compressed without agreement"),
        pytest.param(b"\x91\x01x", id="a reserved bit"),
        pytest.param(b"\x81\x81\0\0\0\0x", id="masked"),
        pytest.param(b"\x81\x7e\x00\x05hello", id="a length longer than needed"),
        pytest.param(b"\x81\x7f" + (65535).to_bytes(8, "big"), id="a far longer length"),
        pytest.param(b"\x89\x7e\x00\x80", id="a long control frame"),
        pytest.param(b"\x81\x7f" + (1 << 40).to_bytes(8, "big"), id="a terabyte"),
    ],
)
def test_what_a_server_must_not_send_is_malformed(data):
    with pytest.raises(Malformed):
        FrameParser().receive(data)


def test_compressed_messages_are_inflated_with_and_without_takeover():
    for takeover in (True, False):
        parser = FrameParser(deflate=True, server_takeover=takeover)
        deflater = zlib.compressobj(wbits=-15)
        for text in (b"first message", b"second message"):
            if not takeover:
                deflater = zlib.compressobj(wbits=-15)
            data = (deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]
            (frame,) = parser.receive(bytes((0xC1, len(data))) + data)
            assert (frame.payload, frame.size) == (text, len(data) + 2)


def test_what_does_not_inflate_is_malformed():
    with pytest.raises(Malformed, match="deflate"):
        FrameParser(deflate=True).receive(b"\xc1\x04\xff\xff\xff\xff")


def test_a_client_frame_is_masked_with_zeros():
    assert client_frame(PONG, b"ab") == b"\x8a\x82\0\0\0\0ab"
    with pytest.raises(ValueError, match="125"):
        client_frame(PING, b"x" * 126)
