"""Cancellation at every stage, and deadlines: the others notice nothing, and nothing is left."""

import asyncio
import math
from itertools import combinations

import anyio
import anyio.lowlevel
import pytest

from support.helpers import (
    Caller,
    check_at_rest,
    computed,
    ended,
    hold,
    row,
    rows,
    same,
    start,
    submit,
    submit_all,
    until,
)
from trtasync import Engine, open_engine
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

SUBSETS = [frozenset(subset) for size in range(9) for subset in combinations(range(8), size)]


async def settle(engine: Engine, callers: list[Caller], cancelled: frozenset[int]) -> None:
    """The cancelled ones have ended so, the others have their own answers, nothing is left."""
    await ended(*callers)
    for index, caller in enumerate(callers):
        if index in cancelled:
            assert caller.cancelled
        else:
            assert same(caller.answer, row(index))
    seen = check_at_rest(engine)
    assert seen.cancelled == len(cancelled)


@pytest.mark.parametrize("max_batch_size", [8, 3])
async def test_any_subset_of_eight_queued_callers(max_batch_size: int) -> None:
    """With batches of 8 all lie in a slot; with batches of 3 some wait without one."""
    backend = ScriptedBackend()
    async with open_engine(backend, max_batch_size=max_batch_size, loop_budget=0.0) as engine:
        total = 0
        for subset in SUBSETS:
            backend.computed.clear()
            async with anyio.create_task_group() as tasks:
                await hold(tasks, engine, backend)
                callers = await submit_all(tasks, engine, range(8))
                for index in subset:
                    callers[index].scope.cancel()
                await ended(*(callers[index] for index in subset))
                assert engine.statistics().queued == 8 - len(subset)
                backend.gate.let()
                await ended(*callers)
            for index, caller in enumerate(callers):
                assert caller.cancelled if index in subset else same(caller.answer, row(index))
            left = [float(index) for index in range(8) if index not in subset]
            assert sorted(computed(backend)) == [-1.0, *left]
            total += len(subset)
        assert check_at_rest(engine).cancelled == total


def test_cancelled_in_the_loop_iteration_of_the_submit() -> None:
    """The batch is launched before the cancelled task has run: its row is not computed either."""

    async def main() -> None:
        backend = ScriptedBackend()
        async with open_engine(backend, loop_budget=0.0) as engine:
            tasks = [asyncio.create_task(engine.infer(row(index))) for index in range(8)]
            await asyncio.sleep(0)  # all have submitted, and the bell has not rung yet
            assert engine.statistics().queued == 8
            for index in (1, 4, 6):
                tasks[index].cancel()
            await asyncio.wait(tasks)
            assert computed(backend) == [0, 2, 3, 5, 7]
            assert check_at_rest(engine).cancelled == 3

    asyncio.run(main())


async def test_cancelled_while_running() -> None:
    backend = ScriptedBackend()
    async with open_engine(backend, loop_budget=0.0) as engine:
        async with anyio.create_task_group() as tasks:
            backend.gate.shut()
            callers = [start(tasks, engine, row(index)) for index in range(8)]
            await until(lambda: backend.gate.arrived == 1)
            callers[3].scope.cancel()
            await ended(callers[3])
            backend.gate.let()
            await settle(engine, callers, frozenset({3}))
        assert len(computed(backend)) == 8  # what is launched is computed, and dropped


async def test_a_split_request_cancelled_between_its_parts() -> None:
    backend = ScriptedBackend()
    async with open_engine(backend, max_batch_size=2, loop_budget=0.0) as engine:
        async with anyio.create_task_group() as tasks:
            await hold(tasks, engine, backend)
            big = await submit(tasks, engine, rows(range(10, 19)))
            small = await submit(tasks, engine, row(1))
            arrived = backend.gate.arrived
            backend.gate.let(2)
            await until(lambda: backend.gate.arrived > arrived + 1)
            big.scope.cancel()
            await ended(big)
            backend.gate.let()
            await ended(small)
        assert same(small.answer, row(1))
        assert len([value for value in computed(backend) if value >= 10]) < 9
        assert check_at_rest(engine).cancelled == 1


def test_asyncio_s_own_cancel() -> None:
    async def main() -> None:
        backend = ScriptedBackend()
        async with open_engine(backend, max_batch_size=3, loop_budget=0.0) as engine:
            backend.gate.shut()
            first = asyncio.create_task(engine.infer(row(-1)))
            await until(lambda: backend.gate.arrived == 1)
            tasks = [asyncio.create_task(engine.infer(row(index))) for index in range(8)]
            await asyncio.sleep(0)
            for index in (0, 3, 7):
                tasks[index].cancel()
            backend.gate.let()
            results = await asyncio.gather(first, *tasks, return_exceptions=True)
            for index, result in enumerate(results[1:]):
                if index in (0, 3, 7):
                    assert isinstance(result, asyncio.CancelledError)
                else:
                    assert same(result, row(index))
            assert not {0.0, 3.0, 7.0} & set(computed(backend))
            assert check_at_rest(engine).cancelled == 3

    asyncio.run(main())


def test_cancelled_after_the_answer_came() -> None:
    """The answer is there, its task has not run yet and is cancelled: counted once, as answered."""

    async def main() -> None:
        backend = ScriptedBackend()
        async with open_engine(backend, loop_budget=0.0) as engine:
            task = asyncio.create_task(engine.infer(row(1)))
            await until(lambda: engine.statistics().answered == 1)
            task.cancel()
            await asyncio.wait([task])
            seen = check_at_rest(engine)
            assert seen.answered + seen.cancelled == 1

    asyncio.run(main())


# -- deadlines -------------------------------------------------------------------------------------


async def test_a_deadline_already_past_is_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trtasync.scheduler.expired.GRACE", 3600.0)  # no loop turns so late
    backend = ScriptedBackend()
    async with open_engine(backend, loop_budget=0.0) as engine:
        await engine.infer(row(0))
        with anyio.move_on_after(0) as scope:
            await engine.infer(row(1))
        assert scope.cancelled_caught
        with anyio.CancelScope() as gone:
            gone.cancel()
            await engine.infer(row(2))
        assert gone.cancelled_caught
        assert computed(backend) == [0]
        seen = check_at_rest(engine)
        assert (seen.expired, seen.cancelled) == (2, 2)


async def test_the_earliest_deadline_goes_first() -> None:
    backend = ScriptedBackend()
    async with open_engine(backend, max_batch_size=1, loop_budget=0.0) as engine:
        async with anyio.create_task_group() as tasks:
            await hold(tasks, engine, backend)
            await submit_all(tasks, engine, [0])  # staged, but not launched: it gets no head start
            now = anyio.current_time()
            for value, deadline in ((1, math.inf), (2, now + 9), (3, now + 6), (4, now + 8)):
                await submit(tasks, engine, row(value), deadline=deadline)
            await submit(tasks, engine, row(5), priority=1)
            await submit(tasks, engine, row(6), priority=9, deadline=now + 5)
            backend.gate.let()
        assert computed(backend) == [-1, 5, 3, 4, 2, 0, 1, 6]


async def test_the_deadline_read_is_anyio_s_effective_one() -> None:
    async with open_engine(ScriptedBackend()) as engine:
        read = engine._core.loop.deadline

        async def compare() -> None:
            assert read() == anyio.current_effective_deadline()

        now = anyio.current_time()
        await compare()
        with anyio.CancelScope(deadline=now + 50):
            await compare()
            with anyio.CancelScope(deadline=now + 60):
                await compare()
                with anyio.CancelScope(deadline=now + 40, shield=True):
                    await compare()
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(compare)
                        tasks.cancel_scope.deadline = now + 30
                        await compare()
                with anyio.CancelScope(shield=True):
                    await compare()
                    assert read() == math.inf
            with anyio.CancelScope() as cancelled:
                cancelled.cancel()
                await compare()
                assert read() == -math.inf
                with anyio.CancelScope(shield=True):
                    await compare()
        await compare()
        with anyio.CancelScope():
            await anyio.lowlevel.checkpoint()
            await compare()
