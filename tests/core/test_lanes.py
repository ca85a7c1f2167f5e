"""Lanes that die: their requests fail, the others go on, nobody hangs."""

import threading
from functools import partial

import anyio
import pytest

from support.helpers import (
    PATIENCE,
    check_at_rest,
    ended,
    hold,
    row,
    rows,
    same,
    start,
    submit_all,
    until,
)
from trtasync import DeviceLost, open_engine
from trtasync.memory.slots import HostSlot
from trtasync.memory.staging import Copies, CopyThreads
from trtasync.runtimes import Slot
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("owned", [False, True])
@pytest.mark.parametrize("how", ["lose", "die"])
async def test_the_last_lane(how: str, owned: bool, caplog: pytest.LogCaptureFixture) -> None:
    backend = ScriptedBackend(owned_slots=owned)
    async with open_engine(backend, max_batch_size=2, loop_budget=0.0) as engine:
        async with anyio.create_task_group() as tasks:
            running = await hold(tasks, engine, backend)
            waiting = await submit_all(tasks, engine, range(7))
            setattr(backend, how, True)
            backend.gate.let()
            await ended(running, *waiting)
        for caller in (running, *waiting):
            assert isinstance(caller.error, DeviceLost)
        with pytest.raises(DeviceLost, match="no stream is left"):
            await engine.infer(row(1))
        seen = check_at_rest(engine)
        assert [stream.alive for stream in seen.streams] == [False]
        assert seen.failed == 8
    assert "scripted: stream 0 is dead" in caplog.text


@pytest.mark.parametrize("owned", [False, True])
@pytest.mark.parametrize("how", ["lose", "die"])
async def test_the_others_go_on(how: str, owned: bool) -> None:
    backend = ScriptedBackend(owned_slots=owned)
    async with open_engine(backend, streams=2, max_batch_size=2, loop_budget=0.0) as engine:
        async with anyio.create_task_group() as tasks:
            running = await hold(tasks, engine, backend)
            setattr(backend, how, True)
            backend.gate.let(1)
            await ended(running)
            setattr(backend, how, False)
            assert isinstance(running.error, DeviceLost)
            callers = [start(tasks, engine, row(index)) for index in range(9)]
            await until(lambda: all(caller.began for caller in callers))
            backend.gate.let()
            await ended(*callers)
        assert [caller.answer[0] for caller in callers] == list(range(9))
        seen = check_at_rest(engine)
        assert sorted(stream.alive for stream in seen.streams) == [False, True]
        assert (seen.failed, seen.answered) == (1, 9)


@pytest.mark.parametrize("streams", [1, 2])
async def test_only_what_is_left_goes_on(streams: int) -> None:
    backend = ScriptedBackend()
    async with open_engine(backend, streams=streams, max_batch_size=1, loop_budget=0.0) as engine:
        async with anyio.create_task_group() as tasks:
            running = await hold(tasks, engine, backend)
            backend.die = True
            backend.gate.let()
            await ended(running)
        assert isinstance(running.error, DeviceLost)
        assert "stream 0 died" in str(running.error)
        assert (running.error.stream, running.error.code) == (0, None)
        assert ("goes on with the others" in str(running.error)) is (streams == 2)


async def test_a_lane_of_depth_two_takes_its_second_batch_along() -> None:
    backend = ScriptedBackend(asynchronous=True, owned_slots=True, depth=2, slots_per_lane=3)
    async with open_engine(backend, max_batch_size=1, loop_budget=0.0) as engine:
        async with anyio.create_task_group() as tasks:
            first = await hold(tasks, engine, backend)
            second, third = await submit_all(tasks, engine, [1, 2])
            await until(lambda: engine.statistics().in_flight == 2)
            backend.lose = True
            backend.gate.let()
            await ended(first, second, third)
        assert all(isinstance(caller.error, DeviceLost) for caller in (first, second, third))
        assert not check_at_rest(engine).streams[0].alive


@pytest.mark.parametrize("loop_budget", [0.0, 1.0])
async def test_asynchronous_lanes_of_depth_two_answer_in_place(loop_budget: float) -> None:
    backend = ScriptedBackend(asynchronous=True, owned_slots=True, depth=2, slots_per_lane=3)
    async with open_engine(backend, streams=2, max_batch_size=4, loop_budget=loop_budget) as engine:
        for _ in range(5):
            async with anyio.create_task_group() as tasks:
                callers = [start(tasks, engine, row(index)) for index in range(50)]
                await ended(*callers)
            assert all(same(caller.answer, row(index)) for index, caller in enumerate(callers))
        seen = check_at_rest(engine)
        assert (seen.answered, seen.failed) == (250, 0)


def until_open(gate: threading.Event) -> None:
    assert gate.wait(PATIENCE)


async def test_what_waits_for_its_copies_goes_with_its_lane() -> None:
    backend = ScriptedBackend(asynchronous=True, depth=2, owned_slots=True)
    async with open_engine(backend, streams=2, max_batch_size=2, loop_budget=0.0) as engine:
        threads, gate = CopyThreads(1), threading.Event()
        for slot in engine._core.policy.slots.all:
            assert isinstance(slot, HostSlot)
            slot.copies = Copies(threads, 0)
        try:
            threads.put(partial(until_open, gate))
            async with anyio.create_task_group() as tasks:
                callers = [start(tasks, engine, rows([n, n])) for n in range(4)]
                await until(lambda: engine.statistics().in_flight == 8)

                def lost(slot: Slot, rows: int) -> None:
                    raise DeviceLost("gone", code=719)

                backend.lanes[0].launch = lost  # type: ignore[method-assign]
                gate.set()
                await ended(*callers)
            errors = [each.error for each in callers if each.error]
            assert [isinstance(each, DeviceLost) and each.code for each in errors] == [719] * 2
            assert sum(each.answer is not None for each in callers) == 2
            assert same(await engine.infer(row(7)), row(7))
            assert [stream.alive for stream in check_at_rest(engine).streams] == [False, True]
        finally:
            threads.close()


async def test_a_lane_that_is_polled_takes_its_second_batch_along(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its batches are short, so the loop itself looks whether they are done."""
    backend = ScriptedBackend(asynchronous=True, owned_slots=True, depth=2, slots_per_lane=3)
    async with open_engine(backend, max_batch_size=1, loop_budget=60.0) as engine:
        assert same(await engine.infer(row(0)), row(0))  # its time is known
        async with anyio.create_task_group() as tasks:
            first = await hold(tasks, engine, backend)
            (second,) = await submit_all(tasks, engine, [1])
            await until(lambda: engine.statistics().in_flight == 2)
            backend.lose = True
            backend.gate.let()
            await ended(first, second)
        assert all(isinstance(caller.error, DeviceLost) for caller in (first, second))
        assert engine._core.pump._polled == []  # nobody asks a dead lane whether it is done
        assert check_at_rest(engine).failed == 2
    assert "please report" not in caplog.text
