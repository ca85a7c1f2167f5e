"""Slots: what is written comes out again, whatever dtype, shape and memory order it came in."""

from collections.abc import Callable
from typing import Any

import anyio
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.helpers import Array, same, tensor, until
from trtasync import open_engine
from trtasync.memory.slots import GIL_COPY_BYTES, MAX_LAYOUTS, HostSlot
from trtasync.memory.staging import Copies, CopyThreads
from trtasync.model.tensors import Dim, ModelSpec, Pad
from trtasync.requests.answers import take
from trtasync.requests.reader import RequestReader
from trtasync.requests.signature import Layout
from trtasync.testing import ScriptedBackend

CAPACITY = 6

DTYPES = [
    np.bool_,
    np.int8,
    np.uint16,
    np.int64,
    np.longlong,
    np.ulonglong,
    np.float16,
    np.float32,
    np.float64,
    ml_dtypes.bfloat16,
    ml_dtypes.float8_e4m3fn,
]

Shapes = tuple[int, ...]

dtypes = st.sampled_from(DTYPES)
shapes = st.lists(st.integers(0, 5), max_size=3).map(tuple)
large_shapes = st.sampled_from([(GIL_COPY_BYTES + 1,), (3, GIL_COPY_BYTES // 2 + 5)])


def numbers(shape: Shapes, dtype: Any, seed: int) -> Array:
    """Random bits (of a bool: random truth)."""
    rng = np.random.default_rng(seed)
    size = int(np.prod(shape, dtype=np.int64))
    if dtype is np.bool_:
        return rng.integers(0, 2, shape).astype(np.bool_)
    data = rng.bytes(size * np.dtype(dtype).itemsize)
    return np.frombuffer(data, dtype).reshape(shape)


def _sliced(array: Array) -> Array:
    wide = np.zeros((*array.shape, 3), array.dtype)
    wide[..., 1] = array
    return wide[..., 1]


def _reversed(array: Array) -> Array:
    back = np.ascontiguousarray(array[..., ::-1]) if array.ndim else array
    return back[..., ::-1] if array.ndim else back


def _unaligned(array: Array) -> Array:
    raw = np.frombuffer(b"\0" + array.tobytes(), np.uint8)
    return raw[1:].view(array.dtype).reshape(array.shape)


def _swapped(array: Array) -> Array:
    if array.dtype.isbuiltin != 1:
        return array  # ml_dtypes know one byte order only
    return array.byteswap().view(array.dtype.newbyteorder("S"))


def _read_only(array: Array) -> Array:
    array = array.copy()
    array.setflags(write=False)
    return array


MEMORIES: list[Callable[[Array], Array]] = [
    np.ascontiguousarray,
    np.asfortranarray,
    _sliced,
    _reversed,
    _unaligned,
    _swapped,
    _read_only,
]


def dynamic(name: str, shape: Shapes, dtype: Any) -> Any:
    axes: list[Dim] = [f"{name}{axis}" for axis in range(len(shape))]
    return tensor(name, "N", *axes, dtype=dtype)


@st.composite
def requests(draw: st.DrawFn) -> tuple[Any, Shapes, list[tuple[bool, int, int, int]]]:
    """A dtype, the shape of a row, and requests as (sample, rows, memory order, seed)."""
    dtype = draw(dtypes)
    shape = draw(st.one_of(shapes, large_shapes))
    left = CAPACITY
    entries: list[tuple[bool, int, int, int]] = []
    while left and len(entries) < 4:
        sample = draw(st.booleans())
        count = 1 if sample else draw(st.integers(1, left))
        entries.append((sample, count, draw(st.integers(0, len(MEMORIES) - 1)), len(entries)))
        left -= count
    return dtype, shape, entries


@given(requests())
def test_what_is_packed_comes_out_again(
    case: tuple[Any, Shapes, list[tuple[bool, int, int, int]]],
) -> None:
    dtype, shape, entries = case
    spec = ModelSpec.from_tensors([dynamic("x", shape, dtype)], [tensor("y", "N")])
    reader = RequestReader(spec, {}, lambda layout: layout)
    slot = HostSlot(spec, CAPACITY)
    written, at = [], 0
    for sample, count, memory, seed in entries:
        true = numbers(shape if sample else (count, *shape), dtype, seed)
        signature, arrays = reader.read(MEMORIES[memory](true))
        views = slot.bind(signature.queue)
        views.write(at, count, arrays)
        written.append((at, count, true))
        at += count
    for start, count, true in written:
        (back,) = take(views.inputs, start, count)
        assert back.dtype == true.dtype
        assert back.tobytes() == true.tobytes()


def filled(dtype: Any, shape: Shapes) -> tuple[HostSlot, Array]:
    """A slot full of random rows, and a copy of them."""
    spec = ModelSpec.from_tensors([dynamic("x", shape, dtype)], [tensor("y", "N")])
    slot = HostSlot(spec, CAPACITY)
    view = slot.bind(Layout((shape,), (None,))).inputs[0]
    view[...] = numbers((CAPACITY, *shape), dtype, 5)
    return slot, view.copy()


@given(dtypes, shapes, st.integers(0, CAPACITY), st.integers(0, CAPACITY), st.data())
def test_rows_are_moved_down_also_over_themselves(
    dtype: Any, shape: Shapes, source: int, target: int, data: st.DataObject
) -> None:
    source, target = max(source, target), min(source, target)
    count = data.draw(st.integers(0, CAPACITY - source))
    slot, model = filled(dtype, shape)
    slot.move(source, target, count)
    model[target : target + count] = model[source : source + count].copy()
    assert slot.views is not None
    assert slot.views.inputs[0].tobytes() == model.tobytes()


@given(dtypes, shapes, st.integers(1, CAPACITY), st.data())
def test_padding_rows_repeat_the_last_row(
    dtype: Any, shape: Shapes, rows: int, data: st.DataObject
) -> None:
    run_rows = data.draw(st.integers(rows, CAPACITY))
    slot, model = filled(dtype, shape)
    slot.pad(rows, run_rows)
    model[rows:run_rows] = model[rows - 1]
    assert slot.views is not None
    assert slot.views.inputs[0].tobytes() == model.tobytes()


@given(
    st.sampled_from([np.bool_, np.int64, np.float16, ml_dtypes.bfloat16]),
    st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple),
    st.data(),
)
def test_padded_axes_hold_the_row_then_the_value(
    dtype: Any, shape: Shapes, data: st.DataObject
) -> None:
    axis = data.draw(st.integers(0, len(shape) - 1))
    count = data.draw(st.integers(1, 3))
    sample = count == 1 and data.draw(st.booleans())
    rule = Pad(axis=axis + 1, multiple_of=3, value=1)
    spec = ModelSpec.from_tensors([dynamic("x", shape, dtype)], [tensor("y", "N")])
    reader = RequestReader(spec, {"x": rule}, lambda layout: layout)
    slot = HostSlot(spec, CAPACITY)
    true = numbers(shape if sample else (count, *shape), dtype, 7)
    signature, arrays = reader.read(data.draw(st.sampled_from(MEMORIES))(true))
    views = slot.bind(signature.queue)
    views.inputs[0][...] = 0
    views.write(1, count, arrays)
    true = true.reshape(count, *shape)
    ones = list(true.shape)
    ones[axis + 1] = -shape[axis] % 3
    expected = np.concatenate([true, np.ones(ones, dtype)], axis + 1)
    got = views.inputs[0][1 : 1 + count]
    assert got.shape == expected.shape
    assert got.tobytes() == expected.tobytes()


def test_two_inputs_are_written_together() -> None:
    spec = ModelSpec.from_tensors(
        [tensor("a", "N", 2), tensor("b", "N", dtype=np.int64)], [tensor("y", "N")]
    )
    slot = HostSlot(spec, 3)
    views = slot.bind(Layout(((2,), ()), (None, None)))
    assert views.vectors is None
    views.write(0, 1, (np.ones(2, np.float32), np.array(5)))
    views.write(1, 2, (np.full((2, 2), 2, np.float32), np.array([6, 7])))
    assert views.inputs[0].tolist() == [[1, 1], [2, 2], [2, 2]]
    assert views.inputs[1].tolist() == [5, 6, 7]


def test_memory_is_aligned_and_grows_with_the_layout() -> None:
    spec = ModelSpec.from_tensors([tensor("x", "N", "W", dtype=np.uint8)], [tensor("y", "N")])
    slot = HostSlot(spec, 3)
    for width in (1, 7, 1000, 64, 100_000, 3):
        view = slot.bind(Layout(((width,),), (None,))).inputs[0]
        assert view.shape == (3, width)
        assert view.ctypes.data % 64 == 0
        view[...] = 1


def test_views_of_a_layout_are_kept_and_their_number_is_bounded() -> None:
    spec = ModelSpec.from_tensors([tensor("x", "N", "W")], [tensor("y", "N")])
    slot = HostSlot(spec, 2)
    layouts = [Layout(((MAX_LAYOUTS * 2 - width,),), (None,)) for width in range(MAX_LAYOUTS + 1)]
    first = slot.bind(layouts[0])
    assert slot.bind(layouts[0]) is first
    for layout in layouts:
        slot.bind(layout)
    assert len(slot._known) <= MAX_LAYOUTS
    assert slot.bind(layouts[0]) is not first


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_larger_than_the_copy_limit(dtype: Any) -> None:
    width = GIL_COPY_BYTES + 3
    slot, model = filled(dtype, (width,))
    assert slot.views is not None
    assert slot.views.vectors is None
    new = numbers((width,), dtype, 9)
    slot.views.write(2, 1, new)
    model[2] = new
    assert slot.views.inputs[0].tobytes() == model.tobytes()


# -- memory that grew -----------------------------------------------------------------------------

MEGABYTE = 1 << 20


def held(slot: HostSlot) -> int:
    """Bytes of a slot's buffers."""
    return sum(buffer.size for buffer in slot._buffers)


def run(slot: HostSlot, *megabytes: float) -> list[float]:
    """Batches of such rows, one after another; what the slot holds after each, in megabytes."""
    after = []
    for size in megabytes:
        layout = Layout(((int(size * MEGABYTE / 4),),), (None,))
        views = slot.bind(layout)
        views.write(0, 1, np.full(layout.shapes[0], size, np.float32))
        assert (views.inputs[0][0] == np.float32(size)).all()
        slot.let_go()
        after.append(held(slot) / MEGABYTE)
    return after


@pytest.fixture
def slot() -> HostSlot:
    return HostSlot(ModelSpec.from_tensors([tensor("x", "N", "W")], [tensor("y", "N", "W")]), 1)


def test_one_large_row_takes_its_memory_along(slot: HostSlot) -> None:
    assert run(slot, 0.5, 8, 0.5, 0.5) == [0.5, 0, 0.5, 0.5]


def test_what_is_always_large_is_kept(slot: HostSlot) -> None:
    first, *rest = run(slot, 0.5, 8, 8, 8, 8)[1:]
    assert first == 0
    assert rest == [8, 8, 8]
    views = slot.bind(Layout(((2 * MEGABYTE,),), (None,)))
    assert np.shares_memory(views.inputs[0], slot._buffers[0])


def test_what_was_large_is_given_back_when_batches_are_small_again(slot: HostSlot) -> None:
    assert run(slot, 8, 8, 0.5, 0.5, 0.5) == [8, 8, 8, 0, 0.5]


def test_inputs_of_different_size_are_kept_too() -> None:
    inputs = [tensor("small", "N", "S"), tensor("large", "N", "L")]
    slot = HostSlot(ModelSpec.from_tensors(inputs, [tensor("y", "N", "L")]), 1)
    layout = Layout(((4,), (2 * MEGABYTE,)), (None, None))
    views = slot.bind(layout)
    for _ in range(4):
        slot.let_go()
        assert slot.bind(layout) is views


def test_a_little_more_than_needed_is_no_reason(slot: HostSlot) -> None:
    assert run(slot, 3, 8, 3, 3, 3, 8) == [3, 8, 8, 8, 8, 8]


def test_small_slots_are_left_alone(slot: HostSlot) -> None:
    assert run(slot, 1 / 1024, 1, 1 / 1024, 1 / 1024) == [1 / 1024, 1, 1, 1]


@pytest.mark.anyio
async def test_an_idle_engine_keeps_no_large_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    """32 rows of 4 MB, and nothing after them."""
    monkeypatch.setattr("trtasync.core.shrinking.UNUSED", 3600.0)
    backend = ScriptedBackend(inputs=[tensor("x", "N", "n")], outputs=[tensor("y", "N", "n")])
    async with open_engine(backend, loop_budget=0.0) as engine:
        slots = [slot for slot in engine._core.policy.slots.all if isinstance(slot, HostSlot)]
        line = np.ones(MEGABYTE, np.float32)
        for _ in range(2):
            async with anyio.create_task_group() as tasks:
                for _ in range(32):
                    tasks.start_soon(engine.infer, line)
            assert sum(map(held, slots)) >= 8 * line.nbytes
            with monkeypatch.context() as later:
                later.setattr("trtasync.core.shrinking.UNUSED", 0.1)
                await engine.infer(line)  # since which it counts; it wakes by itself
                await until(lambda: not any(map(held, slots)))
        assert same(await engine.infer(line), line)


class Torn:
    """A row that cannot be read."""

    def reshape(self, *shape: Any) -> Array:
        raise MemoryError("no room")


def test_a_copy_that_failed_is_not_forgotten_when_rows_move() -> None:
    threads = CopyThreads(1)
    try:
        slot = HostSlot(ModelSpec.from_tensors([tensor("x", "N", 4)], [tensor("y", "N", 4)]), 4)
        slot.copies = Copies(threads, 0)
        layout = Layout(((4,),), (None,))
        write = slot.bind(layout).write
        write(0, 1, np.zeros(4, np.float32))
        write(1, 1, Torn())
        slot.move(1, 0, 1)
        with pytest.raises(MemoryError):
            slot.copies.done(lambda: None)
        write(2, 1, Torn())
        slot.bind(layout)
        assert slot.copies.done(lambda: None)  # nobody has rows here any more
    finally:
        threads.close()
