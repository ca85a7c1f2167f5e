"""Arrays in bodies of requests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from support.helpers import Array
from trtasync import InvalidInput
from trtasync.integrations.bodies import array_of

ARRAYS = st.sampled_from(["<f4", ">f4", "<f2", "u1", "<i8", "?"]).flatmap(
    lambda dtype: arrays(dtype, array_shapes(max_dims=4, max_side=5))
)


@given(array=ARRAYS, data=st.data())
def test_what_was_written_is_read(array: Array, data: st.DataObject) -> None:
    axis = data.draw(st.integers(-array.ndim, array.ndim - 1))
    for shape in (array.shape, (*array.shape[:axis], -1, *array.shape[axis:][1:])):
        read = array_of(array.tobytes(), array.dtype, shape)
        assert (read.dtype, read.shape) == (array.dtype, array.shape)
        assert read.tobytes() == array.tobytes()


@pytest.mark.parametrize(
    ("size", "shape", "said"),
    [
        (31, (8,), r"float32 \[8\]: 32 bytes, not 31\."),
        (64, (8,), r"float32 \[8\]: 32 bytes, not 64\."),
        (0, (1, 8, -1), r"float32 \[1, 8, any\]: 32 bytes, or a multiple of that, not 0\."),
        (33, (-1, 8), r"float32 \[any, 8\]: 32 bytes, or a multiple of that, not 33\."),
    ],
)
def test_another_size_is_refused(size: int, shape: tuple[int, ...], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        array_of(bytes(size), "<f4", shape)
