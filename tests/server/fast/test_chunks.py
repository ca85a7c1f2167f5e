"""Bodies in chunks."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trtasync.server.fast.chunks import Chunks
from trtasync.server.protocol.refusals import Refusal

MOST = 1000


def in_chunks(pieces: list[bytes], upper: bool = False) -> bytes:
    """A body as it is sent."""
    size = "%X" if upper else "%x"
    lines = [(size % len(piece)).encode() + b"\r\n" + piece + b"\r\n" for piece in pieces if piece]
    return b"".join(lines) + b"0\r\n\r\n"


def fed(content: bytes, cuts: list[int]) -> tuple[Chunks, bytes]:
    """A reader that got `content` cut at these places, and what it left."""
    chunks, rest = Chunks(MOST), b""
    places = sorted({0, *(min(cut, len(content)) for cut in cuts), len(content)})
    for start, stop in pairwise(places):
        piece = content[start:stop]
        rest += piece if chunks.is_complete else chunks.feed(piece)
    return chunks, rest


@given(
    st.lists(st.binary(max_size=60), max_size=6),
    st.lists(st.integers(0, 400), max_size=30),
    st.binary(max_size=20),
    st.booleans(),
)
def test_a_body_is_put_together_however_it_comes(
    pieces: list[bytes], cuts: list[int], behind: bytes, upper: bool
) -> None:
    chunks, rest = fed(in_chunks(pieces, upper) + behind, cuts)
    assert chunks.is_complete
    assert chunks.body == b"".join(pieces)
    assert rest == behind


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=8))
def test_whatever_comes_is_a_body_or_refused_at_any_cut(content: bytes, cuts: list[int]) -> None:
    """In one piece and in several the same is made of it."""

    def outcome(cuts: list[int]) -> object:
        try:
            chunks, rest = fed(content, cuts)
        except Refusal:
            return None
        return chunks.is_complete, bytes(chunks.body), rest

    assert outcome([]) == outcome(cuts)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"3;name=value\r\nabc\r\n", "more than that"),
        (b"3 \r\nabc\r\n", "more than that"),
        (b" 3\r\nabc\r\n", "no size"),
        (b"0x3\r\nabc\r\n", "no size"),
        (b"-3\r\nabc\r\n", "no size"),
        (b"3\nabc\r\n", "no size"),
        (b"\r\nabc\r\n", "no size"),
        (b"g\r\n", "no size"),
        (b"0" * 20, "no size"),
        (b"3\r\nabcd\r\n", "longer"),
        (b"3\r\nabc\n", "longer"),
        (b"3\r\nabc\r\r\n", "longer"),
        (b"0\r\nTrailer: a\r\n\r\n", "railers"),
        (b"0\r\n\n", "railers"),
        (b"3e9\r\n", "at most|more than"),
        (b"ffffffffffffffff\r\n", "more than"),
    ],
)
def test_what_servers_disagree_on_is_refused(content: bytes, why: str) -> None:
    with pytest.raises(Refusal, match=why):
        Chunks(MOST).feed(content)


def test_the_limit_is_for_the_whole() -> None:
    chunks = Chunks(5)
    chunks.feed(b"3\r\nabc\r\n2\r\nde\r\n")
    with pytest.raises(Refusal, match="more than 5 bytes") as refused:
        chunks.feed(b"1\r\n")
    assert refused.value.status == 413
