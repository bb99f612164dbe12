import pytest

from market.frames import text_frame, text_of
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
