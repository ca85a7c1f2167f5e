"""Bursts of requests per turn of the loop are served, not only taken in."""

import anyio
import pytest
from anyio.lowlevel import checkpoint

from support.helpers import Array, row
from tests.core.timed import TimedBackend
from trtasync import open_engine

pytestmark = pytest.mark.anyio

RUN, BUDGET = 0.0001, 0.001
TURNS = 2
"""Of the engine between two of another task, at most: loops order them as they like."""


async def most_runs_in_a_turn(others: float) -> int:
    """How many batches run between two turns of another task, on a clock of the test's own.

    Args:
        others: seconds that the other tasks seem to take before the engine's turn.
    """
    clock = [1000.0]
    turn, runs = 0, dict[int, int]()

    def model(x: Array) -> float:
        clock[0] += RUN
        runs[turn] = runs.get(turn, 0) + 1
        return RUN

    backend = TimedBackend(model)
    async with open_engine(backend, max_batch_size=1, loop_budget=BUDGET) as engine:
        for _ in range(5):  # until it is known to be short
            await engine.infer(row(1))
        engine._core.pump._now = lambda: clock[0]
        engine._core.pump._left = clock[0]
        runs.clear()
        async with anyio.create_task_group() as tasks:
            for number in range(120):
                tasks.start_soon(engine.infer, row(number))
            tasks.start_soon(take_time, clock, others)
            while sum(runs.values()) < 120:
                turn += 1
                await checkpoint()
    return max(runs.values())


async def take_time(clock: list[float], seconds: float) -> None:
    clock[0] += seconds


async def test_the_engine_leaves_the_loop_soon_when_others_take_little_of_it() -> None:
    assert await most_runs_in_a_turn(0.0) <= TURNS * (BUDGET / 4 / RUN + 1)


async def test_the_engine_has_the_loop_for_as_long_as_the_others_had_it() -> None:
    assert await most_runs_in_a_turn(2 * BUDGET) >= 2 * BUDGET / RUN


async def test_but_not_for_ever() -> None:
    assert await most_runs_in_a_turn(1000 * BUDGET) <= TURNS * (4 * BUDGET / RUN + 1)
