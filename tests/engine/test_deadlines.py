"""Requests that cannot make their deadline are left out, and come back whole if it is moved."""

import math
import time
from contextlib import ExitStack
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.helpers import (
    Array,
    check_at_rest,
    ended,
    hold,
    opened,
    row,
    rows,
    same,
    start,
    submit,
    tensor,
    until,
)
from trtasync import Engine, open_engine
from trtasync.testing import FunctionBackend, ScriptedBackend

pytestmark = pytest.mark.anyio

RUN = 0.1
"""Seconds the slow model takes."""

LONG = 1000.0
"""Seconds that a batch is said to take."""

SOON = 500.0
"""Seconds until a deadline that no such batch can make. They pass when a test says so."""


def slow(done: list[float]) -> FunctionBackend:
    def function(x: Array) -> Array:
        time.sleep(RUN)  # the model's work, not a way to order things
        done.extend(x[:, 0].tolist())
        return x.copy()

    return FunctionBackend(function, inputs=[tensor("x", "N", 4)], outputs=[tensor("y", "N", 4)])


async def test_what_cannot_make_its_deadline_is_not_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("trtasync.scheduler.expired.GRACE", 3600.0)  # no loop turns so late
    done: list[float] = []
    async with open_engine(slow(done)) as engine:
        await engine.infer(row(1))
        with anyio.move_on_after(RUN / 3) as scope:
            await engine.infer(row(2))
        assert scope.cancelled_caught
        with anyio.fail_after(60):
            assert same(await engine.infer(row(3)), row(3))
        assert done == [1, 3]
        assert check_at_rest(engine).expired == 1


async def test_a_slow_model_of_which_nothing_is_known_is_tried() -> None:
    backend = ScriptedBackend()
    async with opened(backend) as engine, anyio.create_task_group() as tasks:
        backend.gate.shut()
        caller = await submit(tasks, engine, row(1), deadline=anyio.current_time() + 60)
        await until(lambda: backend.gate.arrived == 1)
        caller.scope.deadline = anyio.current_time()
        await ended(caller)
        assert caller.cancelled
        backend.gate.let()


async def test_deadlines_moved_later_after_being_left_out_still_bring_answers() -> None:
    backend = ScriptedBackend()
    async with opened(backend, max_batch_size=4) as engine:
        for size in (1, 2, 3):  # a size of which nothing is known would be tried
            await engine.infer(rows(range(size)))
            learn(engine, size, LONG)
        backend.computed.clear()
        async with anyio.create_task_group() as tasks:
            soon = anyio.current_time() + SOON
            callers = [start(tasks, engine, each, deadline=soon) for each in (row(2), rows([3, 4]))]
            await until(lambda: engine.statistics().expired == 2)
            assert backend.computed == []
            assert engine.statistics().requests == 5
            for caller in callers:
                assert not caller.done
                caller.scope.deadline = math.inf
            pass_time(engine, LONG)
        assert same(callers[0].answer, row(2))
        assert same(callers[1].answer, rows([3, 4]))
        check_at_rest(engine)


def pass_time(engine: Engine, seconds: float) -> None:
    """As if so much had gone by, and the engine's alarm had rung: who was left out comes back, if
    the deadline was moved before."""
    pump = engine._core.pump
    now = pump._now
    pump._now = lambda: now() + seconds
    engine._core.loop.wake()


def learn(engine: Engine, rows: int, seconds: float) -> None:
    """From now on a batch of so many rows is known to take so long."""
    cost = next(iter(engine._signatures.values())).queue.cost
    for _ in range(40):
        cost.learn(rows, seconds, anyio.current_time())


async def test_a_split_request_of_which_a_part_has_run_is_not_left_out() -> None:
    backend = ScriptedBackend()
    large = rows(range(10, 21))
    async with opened(backend, max_batch_size=4) as engine:
        await engine.infer(rows(range(4)))
        async with anyio.create_task_group() as tasks:
            backend.gate.shut()
            deadline = anyio.current_time() + 30
            caller = await submit(tasks, engine, large, deadline=deadline)
            await until(lambda: backend.gate.arrived == 2)
            learn(engine, 4, LONG)
            backend.gate.let()
        assert same(caller.answer, large)
        assert check_at_rest(engine).expired == 0


@pytest.mark.parametrize("count", [4, 11])
async def test_a_request_left_out_comes_back_whole_however_it_is_split_then(count: int) -> None:
    backend = ScriptedBackend()
    large = rows(range(10, 10 + count))
    async with opened(backend, max_batch_size=4) as engine:
        await engine.infer(rows(range(4)))
        async with anyio.create_task_group() as tasks:
            await hold(tasks, engine, backend)
            soon = anyio.current_time() + SOON
            victim = await submit(tasks, engine, large, deadline=soon)
            learn(engine, 4, LONG)
            backend.gate.let(1)
            await until(lambda: engine.statistics().expired == 1)
            assert (engine.statistics().in_flight, victim.done) == (0, False)
            victim.scope.deadline = math.inf
            # it will find a batch with one row in it, and may be cut after three
            held = await submit(tasks, engine, row(1))
            await until(lambda: backend.gate.arrived == 3)
            odd = await submit(tasks, engine, row(2))
            pass_time(engine, LONG)
            await until(lambda: engine.statistics().queued == 1 + count)
            backend.gate.let()
        assert same(held.answer, row(1))
        assert same(odd.answer, row(2))
        assert same(victim.answer, large)
        check_at_rest(engine)


# -- the deadline that is read --------------------------------------------------------------------

levels = st.lists(
    st.tuples(
        st.sampled_from([math.inf, 1000.0, 500.0, 2000.0, -1.0]), st.booleans(), st.booleans()
    ),
    max_size=4,
)


@pytest.fixture(scope="module")
async def deadline_of(anyio_backend: Any) -> Any:
    """The engine's own reading of its caller's deadline, which avoids AnyIO's detours."""
    async with open_engine(ScriptedBackend()) as engine:
        yield engine._core.loop.deadline


@given(levels)
async def test_the_deadline_read_is_the_effective_deadline(
    deadline_of: Any, levels: list[tuple[float, bool, bool]]
) -> None:
    now = anyio.current_time()
    with ExitStack() as stack:
        assert deadline_of() == anyio.current_effective_deadline()
        for seconds, shield, cancelled in levels:
            scope = stack.enter_context(anyio.CancelScope(deadline=now + seconds, shield=shield))
            if cancelled:
                scope.cancel()
            assert deadline_of() == anyio.current_effective_deadline()


async def test_the_deadline_read_in_tasks_of_a_group() -> None:
    async with open_engine(ScriptedBackend()) as engine:
        read = engine._core.loop.deadline
        seen: list[tuple[float, float]] = []

        async def look() -> None:
            seen.append((read(), anyio.current_effective_deadline()))

        await look()
        async with anyio.create_task_group() as tasks:
            tasks.cancel_scope.deadline = anyio.current_time() + 1000
            tasks.start_soon(look)
            with anyio.move_on_after(500):
                tasks.start_soon(look)
                await look()
        assert len(seen) == 4
        assert all(ours == theirs for ours, theirs in seen)
        assert len({ours for ours, _ in seen}) == 3
