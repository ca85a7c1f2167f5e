"""Batches that do not end are found by whoever looks now and then, in a time of the test's own."""

import math

import anyio
import numpy as np
import pytest

from support.helpers import (
    Caller,
    at_once,
    ended,
    hold,
    opened,
    row,
    same,
    submit,
    submit_all,
    until,
)
from tests.core.endless import FOREVER, endless_model
from trtasync import DeviceLost, Engine, InferenceError, open_engine
from trtasync.core.stalls import UNMEASURED
from trtasync.engine import inside
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

LIMIT = 30.0


def look(engine: Engine, seconds: float, limit: float = LIMIT) -> None:
    """So many seconds pass, and somebody looks."""
    inside(engine).core.stalls.look(seconds, limit)


async def check_goes_on(engine: Engine, *callers: Caller) -> None:
    """Nobody was failed."""
    await anyio.lowlevel.checkpoint()
    assert engine.is_alive
    assert not any(caller.done for caller in callers)


async def test_a_batch_that_does_not_end_takes_its_stream_along() -> None:
    backend = ScriptedBackend()
    async with opened(backend) as engine, anyio.create_task_group() as tasks:
        await engine.infer(row(0))
        caller = await hold(tasks, engine, backend)
        look(engine, 1000)  # it was not there before
        look(engine, LIMIT - 1)
        await check_goes_on(engine, caller)
        look(engine, 1)
        await ended(caller)
        assert isinstance(caller.error, DeviceLost)
        assert "a batch has run for 30 s, and goes on (hang_timeout)" in str(caller.error)
        assert not engine.is_alive
        backend.gate.let()


async def test_the_other_streams_go_on() -> None:
    backend = ScriptedBackend()
    async with opened(backend, streams=2) as engine, anyio.create_task_group() as tasks:
        await engine.infer(row(0))
        caller = await hold(tasks, engine, backend)
        look(engine, 0)
        look(engine, LIMIT)
        await ended(caller)
        assert "goes on with the others" in str(caller.error)
        backend.gate.let()
        assert same(await engine.infer(row(2)), row(2))
        assert engine.is_alive


async def test_what_nothing_is_known_of_may_take_longer() -> None:
    backend = ScriptedBackend()
    async with opened(backend) as engine, anyio.create_task_group() as tasks:
        caller = await hold(tasks, engine, backend)
        look(engine, 0)
        look(engine, UNMEASURED * LIMIT - 1)
        await check_goes_on(engine, caller)
        look(engine, 1)
        await ended(caller)
        assert isinstance(caller.error, DeviceLost)
        backend.gate.let()


async def test_what_takes_long_as_a_rule_may_take_longer() -> None:
    backend = ScriptedBackend()
    async with opened(backend) as engine, anyio.create_task_group() as tasks:
        first = await hold(tasks, engine, backend)
        await anyio.sleep(0.2)  # as long as this at least is what such batches take
        backend.gate.let(1)
        await ended(first)
        caller = await submit(tasks, engine, row(2))
        await until(lambda: backend.gate.arrived == 2)
        look(engine, 0, 0.01)
        look(engine, 1.9, 0.01)
        await check_goes_on(engine, caller)
        look(engine, 1000, 0.01)
        await ended(caller)
        backend.gate.let()


async def test_a_batch_that_is_run_again_in_halves_may_take_as_many_times_as_long() -> None:
    backend = ScriptedBackend()
    backend.bad = lambda each: bool(each[0] == 1)
    async with opened(backend, max_batch_size=2) as engine, anyio.create_task_group() as tasks:
        await at_once(engine, [row(0), row(0)])
        await hold(tasks, engine, backend)
        callers = await submit_all(tasks, engine, [1, 2])
        backend.gate.let(2)
        await until(lambda: backend.gate.arrived == 4)  # the first half of the second batch
        look(engine, 0)
        look(engine, 4 * LIMIT - 1)
        await check_goes_on(engine, *callers)
        look(engine, 1)
        await ended(*callers)
        assert all(isinstance(caller.error, DeviceLost) for caller in callers)
        backend.gate.let()


@pytest.mark.parametrize("options", [{}, {"run_timeout": 3600.0}], ids=["never", "run_timeout"])
async def test_what_says_how_long_runs_may_take_has_the_only_word(
    options: dict[str, float],
) -> None:
    backend = ScriptedBackend()
    async with opened(backend, **options) as engine, anyio.create_task_group() as tasks:
        await engine.infer(row(0))
        caller = await hold(tasks, engine, backend)
        for _ in range(2):
            look(engine, 1e9, LIMIT if options else math.inf)
        await check_goes_on(engine, caller)
        backend.gate.let()
        await ended(caller)
        assert same(caller.answer, row(-1))


async def test_a_run_that_can_be_stopped_is_and_its_stream_goes_on(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = endless_model(tmp_path_factory.mktemp("endless") / "endless.onnx")
    async with (
        open_engine(path, batching=False, loop_budget=0.0, backend="onnxruntime") as engine,
        anyio.create_task_group() as tasks,
    ):
        one = np.array([[1]], np.int64)
        assert (await engine.infer(one)).tolist() == [[2]]
        caller = await submit(tasks, engine, np.array([[FOREVER]], np.int64))
        await until(lambda: engine.statistics().in_flight == 1)
        look(engine, 0)
        look(engine, LIMIT)

        def is_over() -> bool:
            look(engine, 0)  # as long as a run has not begun, it is not told to stop
            return caller.done

        await until(is_over)
        assert isinstance(caller.error, InferenceError)
        assert (await engine.infer(one)).tolist() == [[2]]
