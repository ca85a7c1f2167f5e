"""Many plain requests in a turn: once two have come to a batch, the others take its rows unasked.

What the rest of the engine knows of the queue stays exact meanwhile.
"""

from random import Random
from typing import Any

import anyio
import numpy as np
import pytest

from support.helpers import Caller, check_at_rest, hold, opened, row, same, submit, tensor, until
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


def content(random: Random) -> Any:
    """A row, or now and then a few."""
    shape: tuple[int, ...] = (random.choice((3, 4, 5)),)
    if random.random() < 0.2:
        shape = (random.randint(1, 4), *shape)
    return np.full(shape, random.randint(1, 99), np.float32)


@pytest.mark.parametrize("seed", range(25))
async def test_the_queue_takes_as_many_rows_as_it_may(seed: int) -> None:
    """And says how many there are, whoever came, left, or had a priority."""
    random, backend, queued, waiting = Random(seed), scripted(), 0, []
    async with (
        opened(backend, max_batch_size=4, max_queue_size=LIMIT) as engine,
        anyio.create_task_group() as tasks,
    ):
        await hold(tasks, engine, backend)
        for _ in range(40):
            x = content(random)
            rows = len(x) if x.ndim == 2 else 1
            if waiting and random.random() < 0.15:
                caller, gone = waiting.pop(random.randrange(len(waiting)))
                caller.scope.cancel()
                while not caller.done:
                    await anyio.lowlevel.checkpoint()
                queued -= len(gone) if gone.ndim == 2 else 1
            caller = await submit(tasks, engine, x)
            if queued + rows > LIMIT:
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
