"""Rows that are reserved, written and committed to by somebody who is no coroutine."""

from collections.abc import Callable
from typing import Any

import anyio
import numpy as np
import pytest

from support.helpers import (
    PATIENCE,
    check_at_rest,
    hold,
    row,
    rows,
    same,
    start,
    submit,
    tensor,
    until,
)
from tests.core.reserving import Reply, fill, reserve
from trtasync import EngineClosed, InvalidInput, Pad, QueueFull, open_engine
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio


async def test_content_is_written_into_the_slot_itself() -> None:
    async with open_engine(ScriptedBackend()) as engine:
        reservation, reply = reserve(engine, rows([1, 2])), Reply()
        (target,) = reservation.rows_to_write()
        assert reservation.batch is not None
        views = reservation.batch.slot.views
        assert views is not None
        assert np.shares_memory(target, views.inputs[0])
        fill(reservation, rows([1, 2]))
        reservation.commit(reply)
        await until(reply.done)
        assert same(reply.result, rows([1, 2]))
        check_at_rest(engine)


async def test_a_batch_goes_without_what_is_still_being_written() -> None:
    backend = ScriptedBackend()
    async with open_engine(backend) as engine:
        slow, reply = reserve(engine, rows([1, 2])), Reply()
        (target,) = slow.rows_to_write()
        target[0] = 1
        assert same(await engine.infer(row(5)), row(5))
        assert [list(run[:, 0]) for run in backend.computed] == [[5]]
        (target,) = slow.rows_to_write()
        assert same(target[0], row(1))  # what was written has moved with it
        target[1] = 2
        slow.commit(reply)
        await until(reply.done)
        assert same(reply.result, rows([1, 2]))
        assert check_at_rest(engine).answered == 2


async def test_rows_nobody_else_wants_stay_where_they_are() -> None:
    """A turn of the loop later, on an idle device: a batch of nothing complete does not go."""
    async with open_engine(ScriptedBackend()) as engine:
        reservation, reply = reserve(engine, row(3)), Reply()
        place = reservation.rows_to_write()[0]
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
        assert np.shares_memory(reservation.rows_to_write()[0], place)
        fill(reservation, row(3))
        reservation.commit(reply)
        await until(reply.done)
        assert same(reply.result, row(3))


async def test_committed_rows_move_with_their_content() -> None:
    """Withdrawn neighbours leave holes, and the batch closes up over them."""
    backend = ScriptedBackend()
    async with open_engine(backend, max_batch_size=8) as engine, anyio.create_task_group() as tasks:
        blocker = await hold(tasks, engine, backend)
        before = [await submit(tasks, engine, row(value)) for value in (1, 2)]
        reservation, reply = reserve(engine, rows([6, 7])), Reply()
        fill(reservation, rows([6, 7]))
        reservation.commit(reply)
        before[0].scope.cancel()
        await until(lambda: before[0].done)
        backend.gate.let()
        await until(lambda: blocker.done and before[1].done and reply.done())
        assert same(before[1].answer, row(2))
        assert same(reply.result, rows([6, 7]))


@pytest.mark.parametrize("committed", [False, True])
async def test_dropping_frees_the_rows(committed: bool) -> None:
    backend = ScriptedBackend()
    async with open_engine(backend) as engine:
        reservation, reply = reserve(engine, rows([1, 2, 3])), Reply()
        assert engine.statistics().queued == 3
        if committed:
            fill(reservation, rows([1, 2, 3]))
            reservation.commit(reply)
        reservation.drop()
        reservation.drop()
        if committed:
            await until(reply.done)
        assert engine.statistics().queued == 0
        assert len(backend.computed) == int(committed)
        assert same(await engine.infer(row(4)), row(4))
        check_at_rest(engine)


async def test_what_was_never_written_is_never_run() -> None:
    async with open_engine(ScriptedBackend()) as engine:
        reservation = reserve(engine, row(1))
        with pytest.raises(InvalidInput):
            reservation.commit(Reply())
        reservation.drop()
        check_at_rest(engine)


async def test_in_line_for_a_slot_the_content_lies_in_memory_of_its_own() -> None:
    backend = ScriptedBackend(slots_per_lane=1)
    async with open_engine(backend) as engine, anyio.create_task_group() as tasks:
        blocker = await hold(tasks, engine, backend)
        reservation, reply = reserve(engine, row(8)), Reply()
        assert reservation.batch is None
        fill(reservation, row(8))
        assert same(reservation.rows_to_write()[0][0], row(8))  # it is the same memory again
        reservation.commit(reply)
        backend.gate.let()
        await until(lambda: blocker.done and reply.done())
        assert same(reply.result, row(8))


async def test_more_rows_than_a_batch_are_split_when_they_are_complete() -> None:
    backend = ScriptedBackend()
    async with open_engine(backend, max_batch_size=2) as engine:
        reservation, reply = reserve(engine, rows(range(5))), Reply()
        assert reservation.batch is None
        fill(reservation, rows(range(5)))
        reservation.commit(reply)
        await until(reply.done)
        assert same(reply.result, rows(range(5)))
        assert [len(run) for run in backend.computed] == [2, 2, 1]


async def test_what_is_padded_is_written_elsewhere_and_padded_when_it_is_complete() -> None:
    backend = ScriptedBackend(inputs=[tensor("x", "N", "n")], outputs=[tensor("y", "N", "n")])
    async with open_engine(backend, padding={"x": Pad(axis=1, sizes=(4, 8))}) as engine:
        content = np.array([1, 2, 3], np.float32)
        reservation, reply = reserve(engine, content), Reply()
        fill(reservation, content)
        reservation.commit(reply)
        await until(reply.done)
        assert reply.error is None
        assert same(reply.result, content)
        assert same(backend.computed[0][0], np.array([1, 2, 3, 0], np.float32))


async def test_reserved_rows_count_against_the_queue() -> None:
    async with open_engine(ScriptedBackend(), max_queue_size=4) as engine:
        first = reserve(engine, rows([1, 2, 3]))
        with pytest.raises(QueueFull):
            reserve(engine, rows([1, 2]))
        first.drop()
        reserve(engine, rows([1, 2])).drop()
        assert engine.statistics().rejected == 1


async def test_rows_that_are_dropped_go_to_whoever_waits_for_some() -> None:
    """Nobody else may come by who would have them looked at."""
    async with open_engine(ScriptedBackend(np.negative), max_batch_size=2) as engine:
        every = [reserve(engine, rows([1, 2])) for _ in range(8)]  # more than there are slots
        assert any(each.batch is None for each in every)
        async with anyio.create_task_group() as tasks:
            waiting = await submit(tasks, engine, row(3))
            await until(lambda: engine.statistics().queued == 17)
            await anyio.wait_all_tasks_blocked()  # the engine's turn is over
            for each in every:
                each.drop()
            await until(lambda: waiting.done)
        assert same(waiting.answer, row(-3))
        check_at_rest(engine)


async def test_a_more_urgent_request_takes_the_place_of_one_that_is_not_complete() -> None:
    backend = ScriptedBackend()
    async with open_engine(backend, max_queue_size=4) as engine:
        first = reserve(engine, rows([1, 2]), level=9)
        reserve(engine, rows([1, 2]), level=9).drop()
        with pytest.raises(QueueFull):
            reserve(engine, rows([1, 2, 3]), level=9)
        urgent, reply = reserve(engine, rows([4, 5, 6]), level=1), Reply()
        with pytest.raises(QueueFull, match="took the place"):
            first.commit(Reply())
        fill(urgent, rows([4, 5, 6]))
        urgent.commit(reply)
        await until(reply.done)
        assert same(reply.result, rows([4, 5, 6]))
        assert check_at_rest(engine).displaced == 1


@pytest.mark.parametrize("drain", [True, False])
async def test_closing_waits_for_nobody_who_is_still_writing(drain: bool) -> None:
    engine = await open_engine(ScriptedBackend())
    placed, larger = reserve(engine, row(1)), reserve(engine, rows(range(100)))
    with anyio.fail_after(PATIENCE):
        await engine.aclose(drain=drain)
    for reservation in (placed, larger):
        with pytest.raises(EngineClosed):
            reservation.commit(Reply())
        reservation.drop()
    with pytest.raises(EngineClosed):
        reserve(engine, row(2))


async def test_a_reply_that_is_done_is_not_computed() -> None:
    backend = ScriptedBackend()
    async with open_engine(backend) as engine, anyio.create_task_group() as tasks:
        blocker = await hold(tasks, engine, backend)
        reservation, reply = reserve(engine, row(1)), Reply()
        fill(reservation, row(1))
        reservation.commit(reply)
        other = start(tasks, engine, row(2))
        reply.given_up = True
        backend.gate.let()
        await until(lambda: blocker.done and other.done)
        assert all(1.0 not in run for run in backend.computed)
        assert engine.statistics().queued == 0


@pytest.mark.parametrize("late", [False, True])
async def test_past_its_deadline_it_is_not_computed(late: bool) -> None:
    backend = ScriptedBackend()
    async with open_engine(backend) as engine:
        reply = Reply()
        now = engine._core.loop.now()
        reservation = reserve(engine, row(1), deadline=now - 1)
        if late:
            await anyio.lowlevel.checkpoint()
        fill(reservation, row(1))
        reservation.commit(reply)
        assert engine.statistics().expired == 1
        reply.given_up = True  # or it is computed after all, when its time is over
        assert same(await engine.infer(row(2)), row(2))
        assert [list(run[:, 0]) for run in backend.computed] == [[2]]
        engine._core.intake.withdraw(reservation)


async def test_past_its_deadline_it_is_dropped_without_a_trace() -> None:
    async with open_engine(ScriptedBackend()) as engine:
        reserve(engine, row(1), deadline=engine._core.loop.now() - 1).drop()
        assert engine.statistics().queued == 0
        assert same(await engine.infer(rows(range(100))), rows(range(100)))
        check_at_rest(engine)


async def test_answers_of_a_turn_are_flushed_together() -> None:
    order: list[str] = []

    class Noted(Reply):
        def set_result(self, result: Any, /) -> None:
            super().set_result(result)
            order.append("answer")

    flush: Callable[[], None] = lambda: order.append("flush")  # noqa: E731 - typed
    async with open_engine(ScriptedBackend(), loop_budget=1.0, max_batch_size=2) as engine:
        await engine.infer(row(0))  # so that its time is known, and it runs on the loop
        engine._core.pump.flushes = (flush,)
        replies = [Noted() for _ in range(4)]
        for reply in replies:
            reservation = reserve(engine, row(1))
            fill(reservation, row(1))
            reservation.commit(reply)
        await until(lambda: all(reply.done() for reply in replies))
        await anyio.lowlevel.checkpoint()
        assert order[-1] == "flush"
        turns = "".join(word[0] for word in order).split("f")
        assert [turn for turn in turns if turn] in (["aaaa"], ["aa", "aa"])
