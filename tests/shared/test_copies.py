"""Answers are copied out of a slot whatever they are made of, and small ones under the GIL."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from support.helpers import Array, same
from trtasync.memory.slots import GIL_COPY_BYTES
from trtasync.shared.arena import size_class
from trtasync.shared.forms import place
from trtasync.shared.slots import NUMPY_KEEPS, Slot

LENGTHS = [0, 1, NUMPY_KEEPS, NUMPY_KEEPS + 1, GIL_COPY_BYTES + 1]


def answered(shape: tuple[int, ...], dtype: Any) -> tuple[Slot, Array]:
    """A slot with an answer in it, and what the answer is."""
    places = place([shape], [np.dtype(dtype)])
    memory = np.zeros(size_class(places.size), np.uint8)
    slot = Slot(0, memory, memory.__array_interface__["data"][0], [])
    slot.turn_to_answer()
    slot.look(places)
    answer = (np.arange(int(np.prod(shape))) % 100).reshape(shape).astype(dtype)
    slot.views[0][...] = answer
    return slot, answer


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.float16, np.float64, ml_dtypes.bfloat16])
@pytest.mark.parametrize("length", LENGTHS)
def test_a_copy_is_the_caller_s_own(length: int, dtype: Any) -> None:
    for shape in ((length,), (2, length)):
        slot, answer = answered(shape, dtype)
        (copy,) = slot.copies
        copied = copy()
        assert copied.flags.writeable
        slot.memory[...] = 255
        assert same(copied, answer)


def test_a_single_number_is_copied() -> None:
    slot, answer = answered((), np.float32)
    assert same(slot.copies[0](), answer)


def test_what_numpy_lets_go_of_the_gil_for_is_not_copied_by_numpy() -> None:
    slot, _ = answered((NUMPY_KEEPS + 1,), np.float32)
    assert isinstance(slot.copies[0]().base, bytearray)
