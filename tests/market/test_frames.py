import pytest

from market.frames import DEFLATED, PLAIN, text_frame, text_of
from tests.bench.frames import TEXT, FrameParser

SIZES = [0, 1, 125, 126, 127, 65_535, 65_536, 200_000]


@pytest.mark.parametrize("size", SIZES)
def test_a_strict_parser_reads_the_text_back(size):
    text = b"x" * size
    (frame,) = FrameParser().receive(text_frame(text))
    assert (frame.opcode, frame.payload) == (TEXT, text)


@pytest.mark.parametrize("size", SIZES)
def test_the_text_of_a_frame_can_be_taken_out_again(size):
    assert text_of(text_frame(b"x" * size)) == b"x" * size


@pytest.mark.parametrize("takeover", [True, False])
def test_compressed_frames_are_read_whether_or_not_the_browser_keeps_its_window(takeover):
    parser = FrameParser(deflate=True, server_takeover=takeover)
    for text in (b"a" * 1000, b"", b"b", b"a" * 70_000, b"a"):
        (frame,) = parser.receive(DEFLATED.frame(DEFLATED.pack(text)))
        assert (frame.opcode, frame.payload) == (TEXT, text)


@pytest.mark.parametrize("encoding", [PLAIN, DEFLATED])
def test_parts_packed_one_by_one_make_one_message(encoding):
    parts = [encoding.pack(text) for text in (b"one, ", b"two, " * 5000, b"three")]
    (frame,) = FrameParser(deflate=True).receive(encoding.frame(b"".join(parts)))
    assert frame.payload == b"one, " + b"two, " * 5000 + b"three"


def test_compressed_and_plain_frames_may_follow_each_other():
    frames = [DEFLATED.frame(DEFLATED.pack(b"one")), text_frame(b"two")] * 2
    read = FrameParser(deflate=True).receive(b"".join(frames))
    assert [frame.payload for frame in read] == [b"one", b"two"] * 2
