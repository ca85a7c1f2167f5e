"""Which requests go together, in which order, and how many may wait."""

import math
import time
from typing import Any

import anyio
import anyio.lowlevel
import numpy as np
import pytest

from support.helpers import (
    PATIENCE,
    check_at_rest,
    computed,
    ended,
    hold,
    opened,
    row,
    rows,
    same,
    start,
    submit,
    submit_all,
    tensor,
)
from trtasync import InvalidInput, QueueFull, RequestTooLarge, open_engine
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio


# -- order ----------------------------------------------------------------------------------------


async def test_better_priorities_are_computed_first() -> None:
    backend = ScriptedBackend(slots_per_lane=1)
    async with (
        opened(backend, max_batch_size=1) as engine,
        anyio.create_task_group() as tasks,
    ):
        await hold(tasks, engine, backend)
        for priority in (9, 0, 1, 5, 4, 6):
            await submit(tasks, engine, row(priority), priority=priority)
        backend.gate.let()
    assert computed(backend) == [-1, 1, 4, 0, 5, 6, 9]


async def test_earlier_deadlines_are_computed_first_within_a_priority() -> None:
    backend = ScriptedBackend(slots_per_lane=1)
    async with (
        opened(backend, max_batch_size=1) as engine,
        anyio.create_task_group() as tasks,
    ):
        await hold(tasks, engine, backend)
        now = anyio.current_time()
        # within the ten seconds in which a deadline counts, far beyond what a test takes
        for seconds in (9.5, math.inf, 8.0, 9.0):
            await submit(tasks, engine, row(min(seconds, 99)), deadline=now + seconds)
        await submit(tasks, engine, row(1), priority=1)
        backend.gate.let()
    assert computed(backend) == [-1, 1, 8, 9, 9.5, 99]


async def test_requests_of_one_shape_come_in_order() -> None:
    backend = ScriptedBackend()
    async with (
        opened(backend, max_batch_size=3) as engine,
        anyio.create_task_group() as tasks,
    ):
        await hold(tasks, engine, backend)
        await submit_all(tasks, engine, range(10))
        backend.gate.let()
    assert computed(backend) == [-1, *range(10)]
    assert [len(batch) for batch in backend.computed] == [1, 3, 3, 3, 1]


@pytest.mark.parametrize("priority", [-1, 10, 1.5, "high", None, np.float32(3)])
async def test_impossible_priorities_are_refused(priority: Any) -> None:
    async with open_engine(ScriptedBackend()) as engine:
        with pytest.raises(InvalidInput, match="priority must be 0"):
            await engine.infer(row(1), priority=priority)
        assert check_at_rest(engine).requests == 0


async def test_bad_input_harms_nobody() -> None:
    backend = ScriptedBackend()
    async with opened(backend) as engine:
        async with anyio.create_task_group() as tasks:
            await hold(tasks, engine, backend)
            first = await submit(tasks, engine, row(1))
            bad = await submit(tasks, engine, row(2, 5))
            last = await submit(tasks, engine, row(3))
            backend.gate.let()
        assert isinstance(bad.error, InvalidInput)
        assert same(first.answer, row(1))
        assert same(last.answer, row(3))
        assert check_at_rest(engine).requests == 3


# -- batching as asked for ------------------------------------------------------------------------


async def test_an_idle_engine_runs_at_once_and_a_busy_one_gathers() -> None:
    backend = ScriptedBackend()
    async with opened(backend) as engine, anyio.create_task_group() as tasks:
        await hold(tasks, engine, backend)
        await submit_all(tasks, engine, range(5))
        backend.gate.let()
    assert [len(batch) for batch in backend.computed] == [1, 5]


async def test_requests_of_one_loop_iteration_go_together() -> None:
    backend = ScriptedBackend()
    async with open_engine(backend) as engine, anyio.create_task_group() as tasks:
        for value in range(6):
            start(tasks, engine, row(value))
    assert [len(batch) for batch in backend.computed] == [6]


async def test_max_queue_delay_waits_for_the_preferred_size() -> None:
    backend = ScriptedBackend()
    async with open_engine(
        backend, max_queue_delay=1000.0, preferred_batch_size=[3], max_batch_size=8
    ) as engine:
        async with anyio.create_task_group() as tasks:
            await submit_all(tasks, engine, [1, 2])
            for _ in range(20):
                await anyio.lowlevel.checkpoint()
            assert backend.computed == []
            await submit(tasks, engine, row(3))
        assert [len(batch) for batch in backend.computed] == [3]


async def test_max_queue_delay_runs_out() -> None:
    backend = ScriptedBackend()
    async with open_engine(backend, max_queue_delay=0.05) as engine:
        begin = time.monotonic()
        await engine.infer(row(1))
        assert time.monotonic() - begin >= 0.05
        assert engine.statistics().queue.mean >= 0.05


async def test_other_shapes_form_other_batches() -> None:
    backend = ScriptedBackend(
        inputs=[tensor("x", "N", "W")], outputs=[tensor("y", "N", "W")], slots_per_lane=3
    )
    async with opened(backend) as engine:
        async with anyio.create_task_group() as tasks:
            await hold(tasks, engine, backend)
            callers = [await submit(tasks, engine, row(n, 3 + n % 2)) for n in range(6)]
            backend.gate.let()
        for number, caller in enumerate(callers):
            assert same(caller.answer, row(number, 3 + number % 2))
        assert check_at_rest(engine).batches == 3


async def test_batch_sizes_are_kept_to_by_padding() -> None:
    backend = ScriptedBackend()
    async with (
        opened(backend, batch_sizes=[2, 6]) as engine,
        anyio.create_task_group() as tasks,
    ):
        await hold(tasks, engine, backend)
        await submit_all(tasks, engine, range(3))
        backend.gate.let()
    assert [batch[:, 0].tolist() for batch in backend.computed] == [[-1, -1], [0, 1, 2, 2, 2, 2]]


# -- bounds ---------------------------------------------------------------------------------------


async def test_a_full_queue_refuses_at_once_and_recovers() -> None:
    backend = ScriptedBackend()
    async with opened(backend, max_queue_size=5, max_batch_size=2) as engine:
        async with anyio.create_task_group() as tasks:
            await hold(tasks, engine, backend)
            accepted = await submit_all(tasks, engine, range(4))
            with anyio.fail_after(PATIENCE), pytest.raises(QueueFull, match="5"):
                await engine.infer(rows([7, 8]))
            fits = await submit(tasks, engine, row(4))
            refused = await submit(tasks, engine, row(5))
            await ended(refused)
            assert isinstance(refused.error, QueueFull)
            statistics = engine.statistics()
            assert (statistics.rejected, statistics.queued, statistics.requests) == (2, 5, 6)
            accepted[0].scope.cancel()
            await ended(accepted[0])
            again = await submit(tasks, engine, row(6))
            backend.gate.let()
        assert [caller.answer[0] for caller in (*accepted[1:], fits, again)] == [1, 2, 3, 4, 6]
        assert check_at_rest(engine).rejected == 2


async def test_a_request_that_never_fits_says_so() -> None:
    async with open_engine(ScriptedBackend(), max_queue_size=3) as engine:
        with pytest.raises(RequestTooLarge, match=r"3"):
            await engine.infer(rows(range(4)))
        assert same(await engine.infer(rows(range(3))), rows(range(3)))
