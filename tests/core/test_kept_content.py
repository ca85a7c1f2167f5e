"""Content that lies only in a slot's rows goes with its request, wherever that goes."""

import anyio
import numpy as np
import pytest

from support.helpers import check_at_rest, hold, opened, row, rows, same, submit, until
from tests.core.reserving import Reply, fill, reserve
from trtasync import QueueFull
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

SIZES = (1, 2, 4, 8, 16, 32)
FIRST, SECOND = 15, 9
"""Rows of two requests: 24 would run as 32, the first alone runs as 16."""


async def test_who_expires_and_is_computed_after_all_keeps_it() -> None:
    backend = ScriptedBackend()
    async with opened(backend) as engine, anyio.create_task_group() as tasks:
        blocker = await hold(tasks, engine, backend)
        now = engine._core.loop.now
        reservation, reply = reserve(engine, row(3), deadline=now() + 0.01), Reply()
        fill(reservation, row(3))
        reservation.commit(reply)
        other = await submit(tasks, engine, row(4))
        await until(lambda: now() > reservation.deadline)
        backend.gate.let()
        await until(lambda: blocker.done and other.done and reply.done())
        assert engine.statistics().expired == 1
        assert same(other.answer, row(4))
        assert same(reply.result, row(3))
        check_at_rest(engine)


async def test_what_is_cut_off_a_batch_that_closes_up_keeps_it() -> None:
    backend = ScriptedBackend()
    async with (
        opened(backend, max_batch_size=32, batch_sizes=SIZES) as engine,
        anyio.create_task_group() as tasks,
    ):
        blocker = await hold(tasks, engine, backend)
        for _ in range(8):
            for size in SIZES:  # batches take (1 + 0.1 n) ms
                engine._reader.read(row(0))[0].queue.cost.learn(size, (1 + 0.1 * size) * 1e-3, 0.0)
        leaver = await submit(tasks, engine, row(-2))
        contents = [rows(range(FIRST)), rows(range(100, 100 + SECOND))]
        replies = [Reply(), Reply()]
        for content, reply in zip(contents, replies, strict=True):
            reservation = reserve(engine, content)
            fill(reservation, content)
            reservation.commit(reply)
        leaver.scope.cancel()
        await until(lambda: leaver.done)
        backend.gate.let()
        await until(lambda: blocker.done and all(reply.done() for reply in replies))
        for content, reply in zip(contents, replies, strict=True):
            assert same(reply.result, content)
        assert [len(run) for run in backend.computed] == [1, 16, 16]
        check_at_rest(engine)


@pytest.mark.parametrize("beside", [0, 1])
async def test_who_lost_the_place_writes_to_nobody_elses_rows(beside: int) -> None:
    """The batch may be gone, or others may have moved to where the rows were."""
    backend = ScriptedBackend()
    async with opened(backend, max_queue_size=2 + beside) as engine:
        first = reserve(engine, rows([1, 2]), level=9)
        (place,) = first.rows_to_write()
        others = [row(5)] * beside + [rows([7, 8])]
        for other in others:
            fill(urgent := reserve(engine, other, level=1), other)
            urgent.commit(Reply())
        assert not np.shares_memory(first.rows_to_write()[0], place)
        with pytest.raises(QueueFull):
            first.commit(Reply())
        await until(lambda: engine.statistics().answered == len(others))
        check_at_rest(engine)
