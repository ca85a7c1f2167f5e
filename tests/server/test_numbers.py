"""Large tensors are read and written in pieces, and mean what they would mean whole."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.helpers import tensor
from trtasync.server.protocol import numbers
from trtasync.server.protocol.refusals import Refusal
from trtasync.server.protocol.tensors import Interface, Tensor, from_json, to_json

DTYPES = ("float32", "float64", "int8", "uint64", "bool")
numbers_of = st.one_of(
    st.integers(-(1 << 65), 1 << 65),
    st.integers(0, 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.sampled_from([None, "", "],[", {}, {"a": 1}]),
)
lists = st.recursive(numbers_of, lambda inner: st.lists(inner, max_size=4), max_leaves=12)


def of(dtype: str) -> Tensor:
    """A tensor of it."""
    declared = tensor("x", "N", "M", dtype=np.dtype(dtype))
    return Interface([declared], [declared]).inputs["x"]


def told(declared: Tensor, shape: tuple[int, ...], text: bytes) -> Any:
    """What an array says, comparable; None for a refusal."""
    try:
        array = from_json(declared, shape, text)
    except Refusal:
        return None
    return array.shape, array.dtype, array.tobytes()


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(DTYPES),
    lists,
    st.lists(st.integers(1, 4), max_size=3),
    st.sampled_from([(",", ":"), (" , ", " : "), ("\n,", ":")]),
    st.integers(1, 12),
)
def test_pieces_say_what_the_whole_says(
    dtype: str, value: Any, shape: list[int], separators: tuple[str, str], piece: int
) -> None:
    text = json.dumps(value, separators=separators).encode()
    whole = told(of(dtype), tuple(shape), text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numbers, "PIECE", piece)
        assert told(of(dtype), tuple(shape), text + b" " * piece) == whole


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(DTYPES),
    st.lists(st.integers(1, 3), min_size=1, max_size=3),
    st.integers(1, 12),
    st.booleans(),
)
def test_what_is_right_is_read_in_pieces(
    dtype: str, shape: list[int], piece: int, flat: bool
) -> None:
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    text = json.dumps((array.ravel() if flat else array).tolist()).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numbers, "PIECE", piece)
        np.testing.assert_array_equal(from_json(of(dtype), tuple(shape), text), array)


@pytest.mark.parametrize("count", [0, 1, 5, 6, 7])
def test_what_is_written_in_pieces(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(numbers, "ELEMENTS", 3)
    array = np.linspace(-1, 1, count, dtype=np.float32)
    assert json.loads(to_json(of("float32"), array)) == array.tolist()


def test_a_shape_that_nobody_fills_costs_nothing() -> None:
    text = b"[" + b"1," * numbers.PIECE + b"1]"
    with pytest.raises(Refusal, match="must be 1000000000000 elements"):
        from_json(of("float32"), (1_000_000, 1_000_000), text)
    with pytest.raises(Refusal, match="must be 0 elements"):
        from_json(of("float32"), (1_000_000_000_000, 0), b" [" + text + b"]")
