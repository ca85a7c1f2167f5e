"""Many plain requests in a turn: once two have come to a batch, the others take its rows unasked.

What the rest of the engine knows of the queue stays exact meanwhile.
"""

from random import Random

import anyio
import numpy as np
import pytest

from support.helpers import (
    Array,
    Caller,
    check_at_rest,
    ended,
    hold,
    opened,
    row,
    same,
    submit,
    tensor,
    until,
)
from trtasync import EngineClosed, QueueFull
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

LIMIT = 11


def scripted() -> ScriptedBackend:
    """Rows of several widths, each of which has a queue of its own."""
    return ScriptedBackend(
        lambda x: x * 2,
        inputs=[tensor("x", "N", "L")],
        outputs=[tensor("y", "N", "L")],
        slots_per_lane=6,
    )


def content(random: Random) -> Array:
    """A row, or now and then a few."""
    shape: tuple[int, ...] = (random.choice((3, 4, 5)),)
    if random.random() < 0.2:
        shape = (random.randint(1, 4), *shape)
    return np.full(shape, random.randint(1, 99), np.float32)


@pytest.mark.parametrize("seed", range(25))
async def test_the_queue_takes_as_many_rows_as_it_may(seed: int) -> None:
    """And says how many there are, whoever came, left, or had a priority."""
    random, backend, queued = Random(seed), scripted(), 0
    limit = random.choice((LIMIT, 1000))
    waiting: list[tuple[Caller, Array]] = []
    async with (
        opened(backend, max_batch_size=4, max_queue_size=limit) as engine,
        anyio.create_task_group() as tasks,
    ):
        await hold(tasks, engine, backend)
        for _ in range(40):
            x = content(random)
            rows = len(x) if x.ndim == 2 else 1
            if waiting and random.random() < 0.15:
                caller, gone = waiting.pop(random.randrange(len(waiting)))
                caller.scope.cancel()
                await ended(caller)
                queued -= len(gone) if gone.ndim == 2 else 1
            caller = await submit(tasks, engine, x)
            if queued + rows > limit:
                assert isinstance(caller.error, QueueFull)
                assert caller.error.queued == queued
            else:
                assert caller.error is None
                queued += rows
                waiting.append((caller, x))
            assert engine.statistics().queued == queued
        backend.gate.let()
    for caller, x in waiting:
        assert same(caller.answer, x * 2)
    check_at_rest(engine)


@pytest.mark.parametrize("leave", [False, True])
async def test_what_they_might_have_taken_is_free_when_they_are_gone(leave: bool) -> None:
    backend = scripted()
    async with opened(backend, max_batch_size=8) as engine, anyio.create_task_group() as tasks:
        await hold(tasks, engine, backend)
        crowd = [await submit(tasks, engine, row(number)) for number in range(3)]
        if leave:
            for caller in crowd:
                caller.scope.cancel()
        else:
            backend.gate.let()
        await ended(*crowd)
        assert engine.statistics().queued == 0
        backend.gate.let()


async def test_a_more_urgent_request_still_takes_the_place_of_one_of_them() -> None:
    backend = scripted()
    async with (
        opened(backend, max_batch_size=8, max_queue_size=LIMIT) as engine,
        anyio.create_task_group() as tasks,
    ):
        await hold(tasks, engine, backend)
        crowd = [await submit(tasks, engine, row(n)) for n in range(LIMIT)]
        urgent = await submit(tasks, engine, row(50), priority=1)
        late = await submit(tasks, engine, row(51))
        assert isinstance(late.error, QueueFull)
        assert engine.statistics().queued == LIMIT
        backend.gate.let()
    displaced = [caller for caller in crowd if isinstance(caller.error, QueueFull)]
    assert len(displaced) == 1
    assert same(urgent.answer, row(100))
    assert all(
        same(caller.answer, row(2 * n)) for n, caller in enumerate(crowd) if caller.error is None
    )


async def test_an_urgent_one_among_them_takes_them_along() -> None:
    """Its batch goes before one that came earlier."""
    backend = scripted()
    async with opened(backend, max_batch_size=8) as engine, anyio.create_task_group() as tasks:
        await hold(tasks, engine, backend)
        for width in (3, 4):
            for number in range(3):
                await submit(tasks, engine, row(number, width))
        await submit(tasks, engine, row(7), priority=1)
        await submit(tasks, engine, row(8))
        backend.gate.let()
    assert [batch.shape for batch in backend.computed[1:]] == [(5, 4), (3, 3)]


async def test_nobody_comes_in_once_the_engine_closes() -> None:
    """In the midst of a turn in which others came in unasked."""
    backend, order = scripted(), list[Caller | None]()
    async with opened(backend, max_batch_size=32) as engine, anyio.create_task_group() as tasks:
        await hold(tasks, engine, backend)

        async def ask() -> None:
            caller = Caller()
            order.append(caller)
            await caller.run(engine, row(len(order)))

        async def close() -> None:
            order.append(None)
            await engine.aclose()

        for number in range(21):
            tasks.start_soon(close if number == 10 else ask)
        await until(lambda: len(order) == 21)
        backend.gate.let()
    closed = order.index(None)
    for number, caller in enumerate(order):
        if caller is not None and number < closed:
            assert same(caller.answer, row(2 * (number + 1)))
        elif caller is not None:
            assert isinstance(caller.error, EngineClosed)
