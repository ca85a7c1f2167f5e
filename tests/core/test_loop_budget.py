"""A run longer than `loop_budget` sends its group off the loop until short ones are measured."""

import threading

import anyio
import pytest

from support.helpers import row, rows, start, until
from tests.core.timed import TimedBackend
from trtasync import Engine, open_engine
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

SHORT, LONG = 0.0001, 0.8
BUDGET = 0.001


def timed() -> TimedBackend:
    """A model whose time is an input."""
    return TimedBackend(lambda x: float(x[0, 0]))


async def run(engine: Engine, seconds: float, times: int = 1, size: int = 1) -> None:
    for _ in range(times):
        await engine.infer(rows([seconds] * size) if size > 1 else row(seconds))


async def test_a_long_run_sends_those_that_follow_off_the_loop() -> None:
    backend = timed()
    async with open_engine(backend, loop_budget=BUDGET) as engine:
        await run(engine, SHORT, 300)
        assert backend.ran_on[-1] == threading.get_ident()
        await run(engine, LONG)  # nothing announced it
        backend.ran_on.clear()
        await run(engine, LONG, 30)
        await run(engine, SHORT, 10)
        assert threading.get_ident() not in backend.ran_on


async def test_short_runs_measured_in_the_thread_bring_it_back() -> None:
    backend = timed()
    async with open_engine(backend, loop_budget=BUDGET) as engine:
        await run(engine, SHORT, 300)
        await run(engine, LONG)
        await run(engine, SHORT, 60)
        assert backend.ran_on[-1] == threading.get_ident()


async def test_a_pause_of_the_machine_keeps_it_off_for_a_few_runs_only() -> None:
    backend = timed()
    async with open_engine(backend, loop_budget=BUDGET) as engine:
        await run(engine, SHORT, 300)
        await run(engine, 5 * BUDGET)
        await run(engine, SHORT, 10)
        assert backend.ran_on[-1] == threading.get_ident()


@pytest.mark.parametrize("known", [True, False])
async def test_a_long_run_of_another_size_counts_too(known: bool) -> None:
    backend = timed()
    async with open_engine(backend, loop_budget=BUDGET) as engine:
        await run(engine, SHORT, 300)
        await run(engine, SHORT, 10 * known, size=4)
        await run(engine, LONG, size=4)
        await run(engine, SHORT)
        assert backend.ran_on[-1] != threading.get_ident()


async def test_larger_batches_that_take_longer_as_expected_keep_nobody_off() -> None:
    backend = timed()
    async with open_engine(backend, loop_budget=BUDGET) as engine:
        await run(engine, 0.5 * BUDGET, 300)
        await run(engine, 2 * BUDGET, 10, size=4)
        assert backend.ran_on[-1] != threading.get_ident()
        await run(engine, 0.5 * BUDGET)
        assert backend.ran_on[-1] == threading.get_ident()


async def test_a_polled_batch_that_takes_long_after_all_is_left_to_the_thread() -> None:
    backend = ScriptedBackend(asynchronous=True)
    async with open_engine(backend, loop_budget=BUDGET) as engine:
        for _ in range(20):
            await engine.infer(row(SHORT))
        backend.gate.shut()
        async with anyio.create_task_group() as tasks:
            caller = start(tasks, engine, row(1))
            await until(lambda: engine.statistics().in_flight == 1)
            try:
                await until(lambda: not engine._core.pump._polled)
                assert not caller.done
            finally:
                backend.gate.let()
        assert caller.answer is not None
