"""`infer(copy=False)` lends views of the memory a batch was answered in."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from anyio.lowlevel import checkpoint

from support import doubles
from support.doubles import models
from support.helpers import (
    MODELS,
    PATIENCE,
    Array,
    ended,
    hold,
    opened,
    row,
    same,
    start,
    submit,
    until,
)
from tests.tensorrt.support import double, engine_on, write
from trtasync import Engine, open_engine
from trtasync.engine import watch
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

LEFT, RIGHT = (np.random.default_rng(7).random((2, 6, 64)) * 8).astype(np.float32)


@asynccontextmanager
async def on_the_cpu(**options: Any) -> AsyncIterator[Engine]:
    async with open_engine(MODELS / "digits_pair.onnx", max_batch_size=4, **options) as engine:
        yield engine


def pair(*rows: int) -> dict[str, Array]:
    return {"left": LEFT[list(rows)], "right": RIGHT[list(rows)]}


async def test_lent_answers_are_the_same(tmp_path: Path) -> None:
    async with on_the_cpu() as engine:
        copied = await engine.infer(pair(0, 1))
        with await engine.infer(pair(0, 1), copy=False) as lent:
            assert lent.keys() == copied.keys()
            assert all(same(lent[name], copied[name]) for name in copied)
    async with engine_on(tmp_path) as (on_gpu, _):
        x = np.arange(4, dtype=np.float32)
        with await on_gpu.infer(x, copy=False) as y:
            assert same(y, double(x))
            del y


async def test_the_memory_is_lent_and_waits(tmp_path: Path) -> None:
    async with engine_on(tmp_path, streams=1) as (engine, _):
        x = np.arange(4, dtype=np.float32)
        with await engine.infer(x, copy=False) as first:
            held = first.ctypes.data
            seen = set()
            for value in range(12):  # more batches than the lane has slots
                with await engine.infer(x + value, copy=False) as y:
                    assert same(y, double(x + value))
                    seen.add(y.ctypes.data)
            assert same(first, double(x))  # nobody wrote over it
            assert held not in seen
            del first, y
        for _ in range(12):
            with await engine.infer(x, copy=False) as y:
                seen.add(y.ctypes.data)
            del y
        assert held in seen  # given back, it is used again


@pytest.mark.parametrize("streams", [1, 2])
@pytest.mark.parametrize("held", [2, 3, 12])
async def test_what_is_held_on_the_cpu_stops_nobody(held: int, streams: int) -> None:
    async with on_the_cpu(streams=streams) as engine:
        name = engine.outputs[0].name
        expected = [(await engine.infer(pair(row)))[name] for row in range(6)]
        with ExitStack() as holding, anyio.fail_after(PATIENCE):
            lent = [
                holding.enter_context(await engine.infer(pair(number % 6), copy=False))
                for number in range(held)
            ]
            for row in range(6):
                assert same((await engine.infer(pair(row)))[name], expected[row])
            assert all(same(answer[name], expected[n % 6]) for n, answer in enumerate(lent))


@pytest.mark.parametrize("gpus", [1, 2])
@pytest.mark.parametrize("held", [2, 3, 24])
async def test_what_is_held_on_gpus_stops_nobody(tmp_path: Path, held: int, gpus: int) -> None:
    x = np.arange(4, dtype=np.float32)
    devices = list(range(gpus))
    async with engine_on(tmp_path, gpus=gpus, devices=devices, streams=1) as (engine, _):
        with ExitStack() as holding, anyio.fail_after(PATIENCE):
            lent = [
                holding.enter_context(await engine.infer(x + number, copy=False))
                for number in range(held)
            ]
            async with anyio.create_task_group() as tasks:
                callers = [start(tasks, engine, x - number) for number in range(20)]
            assert all(same(each.answer, double(x - n)) for n, each in enumerate(callers))
            assert all(same(answer, double(x + n)) for n, answer in enumerate(lent))
            del lent  # their memory is the engine's again when the block ends


async def test_what_waits_in_line_gets_a_slot_that_comes_home() -> None:
    backend = ScriptedBackend(slots_per_lane=2)
    backend.lends_outputs = True
    async with opened(backend) as engine, anyio.create_task_group() as tasks:
        lent = await engine.infer(row(0), copy=False)
        await hold(tasks, engine, backend)  # the other slot
        waiting = await submit(tasks, engine, row(1))
        assert not engine._core.policy.placements
        group = engine._reader.arrays[(4,)].queue
        assert group.waiting.rows == 1
        lent.release()
        await until(lambda: group.waiting.rows == 0)
        assert not waiting.done
        backend.gate.let()
        await ended(waiting)
        assert same(waiting.answer, row(1))


async def test_a_request_in_parts_is_joined_in_memory_of_its_own() -> None:
    async with on_the_cpu() as engine:
        copied = await engine.infer(pair(*range(6)))
        with await engine.infer(pair(*range(6)), copy=False) as lent:
            assert all(same(lent[name], copied[name]) for name in copied)


async def test_forgetting_to_give_back_is_a_warning() -> None:
    async with on_the_cpu() as engine:
        lent = [await engine.infer(pair(0), copy=False)]
        await checkpoint()  # asyncio holds the future that woke a task until the task waits again
        with pytest.warns(ResourceWarning, match="was not given back"):
            lent.clear()
        for _ in range(5):
            await engine.infer(pair(1))  # its slot came home all the same


async def test_an_answer_outlives_its_engine(tmp_path: Path) -> None:
    path = write(tmp_path, models.elementwise(double))
    x = np.arange(4, dtype=np.float32)
    with doubles.install():
        async with open_engine(path) as engine:
            lent = await engine.infer(x, copy=False)
        with lent as y:
            assert same(y, double(x))
            del y  # freed now: the doubles look for leftovers


async def test_a_caller_that_is_cancelled_when_its_answer_comes_gives_it_back() -> None:
    async with on_the_cpu(streams=1) as engine:
        for _ in range(6):  # more than there are slots
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as tasks:

                    async def ask(cancel: anyio.CancelScope = scope) -> None:
                        with await engine.infer(pair(0), copy=False):
                            cancel.cancel()

                    tasks.start_soon(ask)
        with anyio.fail_after(PATIENCE):
            await engine.infer(pair(1))


async def test_a_slot_comes_home_with_the_last_of_its_answers() -> None:
    backend = ScriptedBackend(slots_per_lane=2)
    backend.lends_outputs = True
    async with opened(backend) as engine, anyio.create_task_group() as tasks:
        answers: list[Any] = []

        async def ask(value: float) -> None:
            answers.append(await engine.infer(row(value), copy=False))

        await hold(tasks, engine, backend)
        for value in (1, 2):
            tasks.start_soon(ask, value)
        await until(lambda: engine.statistics().queued == 2)
        backend.gate.let()
        await until(lambda: len(answers) == 2)
        await hold(tasks, engine, backend)
        group = engine._reader.arrays[(4,)].queue
        waiting = await submit(tasks, engine, row(3))
        answers[0].release()
        answers[0].release()  # twice is once
        for _ in range(3):
            await checkpoint()
        assert group.waiting.rows == 1
        answers[1].release()
        await until(lambda: group.waiting.rows == 0)
        backend.gate.let()
        await ended(waiting)
        assert same(waiting.answer, row(3))


def test_a_task_cancelled_between_its_answer_and_its_turn_gives_it_back() -> None:
    """AnyIO's scopes spare a task that is about to wake up; `asyncio.Task.cancel` does not."""

    async def main() -> None:
        backend = ScriptedBackend(slots_per_lane=2)
        backend.lends_outputs = True
        async with open_engine(backend) as engine:
            for _ in range(6):  # more than there are slots
                task = asyncio.ensure_future(engine.infer(row(1), copy=False))
                watch(engine, lambda record, task=task: task.cancel())  # type: ignore[misc]  # early binding
                with pytest.raises(asyncio.CancelledError):
                    await task
            watch(engine, None)
            await until(lambda: not engine._core.policy.slots._lent)
            assert same(await engine.infer(row(2)), row(2))

    asyncio.run(main())


async def test_given_back_after_the_engine_was_closed() -> None:
    """The slot is nobody's any more, and the engine that is kept does not keep it."""
    backend = ScriptedBackend(slots_per_lane=2)
    backend.lends_outputs = True
    async with opened(backend) as engine:
        lent = await engine.infer(row(1), copy=False)
    with lent as y:
        assert same(y, row(1))
    assert not engine._core.pump._returned
