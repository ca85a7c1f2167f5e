"""Arrays in memory that the host has too: they are not copied, and nobody gets them too early."""

import gc
import threading

import anyio
import numpy as np
import pytest

from support.helpers import Array, ended, row, same, submit, tensor, until
from tests.shared.joined import Joined, joined
from trtasync import InvalidInput, QueueFull
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

WIDTH = 50_000
"""Numbers of a row that is worth not being copied: 200 KB."""


def first_numbers() -> ScriptedBackend:
    """Long rows, short answers."""
    return ScriptedBackend(
        lambda x: x[:, :4].copy(),
        inputs=[tensor("x", "N", WIDTH)],
        outputs=[tensor("y", "N", 4)],
    )


def filled(shared: Joined, value: float, rows: int | None = None) -> Array:
    """An array of `empty_input` with the same number everywhere."""
    array = shared.engine.empty_input(rows)
    array[...] = value
    return array


async def test_it_is_what_the_input_wants() -> None:
    async with joined(first_numbers()) as shared:
        assert shared.engine.empty_input().shape == (WIDTH,)
        array = shared.engine.empty_input(3)
        assert array.shape == (3, WIDTH)
        assert array.dtype == np.float32
        assert array.flags.c_contiguous
        assert array.flags.writeable
        with pytest.raises(InvalidInput):
            shared.engine.empty_input(name="z")


async def test_it_is_read_where_it_lies() -> None:
    async with joined(first_numbers()) as shared, anyio.create_task_group() as tasks:
        array = filled(shared, 1)
        await shared.engine.infer(array)
        caller = await submit(tasks, shared.engine, array)
        array[...] = 2  # forbidden: and only who made no copy sees it
        await ended(caller)
        assert same(caller.answer, row(2))


@pytest.mark.parametrize("part", [slice(2, 4), slice(None, None, 2), slice(None, None, -1)])
async def test_parts_of_it_are_what_they_are(part: slice) -> None:
    async with joined(first_numbers()) as shared:
        array = filled(shared, 0, rows=6)
        array += np.arange(6, dtype=np.float32)[:, None]
        for _ in range(2):
            assert same(await shared.engine.infer(array[part]), array[part][:, :4])
        assert same(await shared.engine.infer(array[5]), array[5, :4])


async def test_it_comes_back_when_nobody_looks_at_it_any_more() -> None:
    async with joined(first_numbers()) as shared:
        array = filled(shared, 1)
        part = array[10:20]
        del array
        assert shared.in_use == 1
        del part
        assert shared.in_use == 0
        held = [filled(shared, 1) for _ in range(20)]
        await shared.engine.infer(held[0])
        before = shared.bytes
        del held
        for _ in range(50):
            await shared.engine.infer(filled(shared, 1))
        assert shared.bytes == before


async def test_who_lets_go_of_it_is_answered_all_the_same() -> None:
    async with joined(first_numbers()) as shared, anyio.create_task_group() as tasks:
        await shared.engine.infer(filled(shared, 0))
        shared.backend.gate.shut()
        callers = [await submit(tasks, shared.engine, filled(shared, value)) for value in range(8)]
        others = [filled(shared, -1) for _ in range(8)]
        shared.backend.gate.let()
        await ended(*callers)
        for value, caller in enumerate(callers):
            assert same(caller.answer, row(value))
        del others


async def test_who_is_cancelled_and_lets_go_leaves_it_to_the_host() -> None:
    async with joined(first_numbers()) as shared, anyio.create_task_group() as tasks:
        await shared.engine.infer(filled(shared, 0))
        shared.backend.gate.shut()
        callers = [await submit(tasks, shared.engine, filled(shared, 1)) for _ in range(3)]
        await until(lambda: shared.backend.gate.arrived == 2)
        in_use = shared.in_use
        for caller in callers:
            caller.scope.cancel()
        await ended(*callers)
        gc.collect()
        assert 0 < shared.in_use <= in_use
        shared.backend.gate.let()
        await until(lambda: shared.in_use == 0)


async def test_any_thread_may_ask_for_it() -> None:
    async with joined(first_numbers()) as shared:
        made: list[Array] = []

        def make() -> None:
            mine = threading.get_ident() % 1000
            made.extend(filled(shared, mine + value) for value in range(25))

        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(anyio.to_thread.run_sync, make)
        assert len({array.__array_interface__["data"][0] for array in made}) == 100
        for array in made:
            assert same(await shared.engine.infer(array), array[:4])


async def test_it_counts_as_memory_of_this_client() -> None:
    async with joined(first_numbers(), limits={"bytes_per_client": 4 << 20}) as shared:
        held = [shared.engine.empty_input() for _ in range(16)]  # of 256 KB
        with pytest.raises(QueueFull, match="arrays of empty_input"):
            shared.engine.empty_input()
        held.pop()
        shared.engine.empty_input()


async def test_it_outlives_its_engine() -> None:
    async with joined(first_numbers()) as shared:
        array = filled(shared, 3)
    assert (array == 3).all()
    async with joined(first_numbers()) as shared:
        assert same(await shared.engine.infer(array), row(3))


async def test_an_answer_is_looked_for_where_this_request_has_it() -> None:
    """Not where the answer lay that was lent from the same slot."""
    backend = ScriptedBackend(
        lambda x: np.repeat(x, 6, axis=1),
        inputs=[tensor("x", "N", WIDTH)],
        outputs=[tensor("y", "N", 6 * WIDTH)],
    )
    async with joined(backend) as shared:
        with await shared.engine.infer(np.full(WIDTH, 1, np.float32), copy=False) as lent:
            assert (lent == 1).all()
        answer = await shared.engine.infer(filled(shared, 2))
        assert (answer == 2).all()
