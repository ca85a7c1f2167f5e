"""Reservations that are committed early, late, in vain, and under a lane that dies."""

import anyio
import pytest

from support.helpers import check_at_rest, ended, hold, opened, row, rows, same, submit, until
from tests.core.reserving import Reply, fill, intake_of, reserve
from trtasync import DeviceLost, EngineClosed, open_engine
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio


async def test_written_and_committed_in_one_turn() -> None:
    async with open_engine(ScriptedBackend()) as engine:
        replies = [Reply() for _ in range(3)]
        for number, reply in enumerate(replies):
            reservation = reserve(engine, row(number))
            reservation.write(row(number))
            reservation.commit(reply)
        await until(lambda: all(reply.done() for reply in replies))
        assert all(same(reply.result, row(number)) for number, reply in enumerate(replies))
        assert check_at_rest(engine).answered == 3


async def test_what_waits_for_rows_is_written_before_there_are_any() -> None:
    backend = ScriptedBackend(slots_per_lane=1)
    async with opened(backend) as engine, anyio.create_task_group() as tasks:
        blocker = await hold(tasks, engine, backend)
        reservation, reply = reserve(engine, rows([8, 9])), Reply()
        assert reservation.batch is None
        reservation.write(rows([8, 9]))
        assert reservation.batch is None  # nobody commits to it yet
        reservation.commit(reply)
        backend.gate.let()
        await until(lambda: blocker.done and reply.done())
        assert same(reply.result, rows([8, 9]))


async def test_a_commit_while_the_engine_is_closed_comes_too_late() -> None:
    backend = ScriptedBackend()
    async with anyio.create_task_group() as tasks:
        async with opened(backend) as engine:
            blocker = await hold(tasks, engine, backend)
            reservation = reserve(engine, rows([1, 2]))
            reservation.write(rows([1, 2]))
            tasks.start_soon(engine.aclose)
            await until(lambda: "closing" in repr(engine))
            with pytest.raises(EngineClosed):
                reservation.commit(Reply())
            assert engine.statistics().queued == 0  # its rows are nobody's
            backend.gate.let()
        await ended(blocker)
        assert [len(run) for run in backend.computed] == [1]


async def test_under_a_lane_that_dies_what_is_complete_moves_and_the_rest_is_set_aside() -> None:
    """The rows of the lost slot are copied to others: those committed, and those half written."""
    backend = ScriptedBackend(owned_slots=True)
    async with (
        opened(backend, streams=2, max_batch_size=4) as engine,
        anyio.create_task_group() as tasks,
    ):
        first = await hold(tasks, engine, backend)
        second = await submit(tasks, engine, rows([-2, -2, -2, -2]))
        await until(lambda: backend.gate.arrived == 2)
        complete, half, dropped = (reserve(engine, row(0)) for _ in range(3))
        reply, late = Reply(), Reply()
        fill(complete, row(5))
        complete.commit(reply)
        fill(half, row(6))
        assert complete.batch is not None
        assert complete.batch is half.batch is dropped.batch
        lost = complete.batch.slot.lane
        assert lost is not None
        engine._core.pump.thread_died(lost, DeviceLost("it is gone"))
        await until(lambda: not engine.statistics().streams[lost].alive)
        assert same(half.rows_to_write()[0][0], row(6))
        assert engine.statistics().queued == 3
        dropped.drop()
        assert engine.statistics().queued == 2
        half.commit(late)
        backend.gate.let()
        await until(lambda: reply.done() and late.done())
        await ended(first, second)
        assert same(reply.result, row(5))
        assert same(late.result, row(6))
        assert intake_of(engine).refusal is None  # the other lane serves
        check_at_rest(engine)
