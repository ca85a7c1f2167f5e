"""`open_engine`, entered and awaited; names; models in memory; an engine that was forgotten."""

import gc
import logging
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

from support import doubles
from support.doubles import models
from support.helpers import MODELS, ended, hold, join_threads, opened, row, same, until
from tests.tensorrt.support import double, write
from trtasync import EngineClosed, InvalidInput, PlanError, open_engine
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

LINE = MODELS / "digits_line.onnx"
IMAGE = np.random.default_rng(5).random((1, 8, 40)).astype(np.float32)


# -- two ways to open -----------------------------------------------------------------------------


async def test_an_awaited_engine_is_closed_by_aclose() -> None:
    backend = ScriptedBackend()
    engine = await open_engine(backend)
    assert same(await engine.infer(row(1)), row(1))
    await engine.aclose()
    assert backend.closed == 1
    with pytest.raises(EngineClosed):
        await engine.infer(row(1))


async def test_a_failure_to_open_is_raised_by_both_ways(tmp_path: Path) -> None:
    missing = tmp_path / "missing.onnx"
    with pytest.raises(PlanError):
        await open_engine(missing, backend="onnxruntime")
    with pytest.raises(PlanError):
        async with open_engine(missing, backend="onnxruntime"):
            pytest.fail("there is no such file")


async def test_an_opening_is_good_for_one_engine() -> None:
    opening = open_engine(ScriptedBackend())
    async with opening:
        with pytest.raises(InvalidInput, match="opened before"):
            await opening
    with pytest.raises(InvalidInput, match="opened before"):
        async with opening:
            pytest.fail("it was opened before")


def test_arguments_are_checked_at_once() -> None:
    with pytest.raises(InvalidInput, match="streams"):
        open_engine(ScriptedBackend(), streams=0)
    with pytest.raises(InvalidInput, match="name"):
        open_engine(ScriptedBackend(), name="")


async def test_closing_inside_the_block_is_fine() -> None:
    async with open_engine(ScriptedBackend()) as engine:
        await engine.aclose()


# -- names ----------------------------------------------------------------------------------------


async def test_a_name_is_shown_everywhere(caplog: pytest.LogCaptureFixture) -> None:
    backend = ScriptedBackend()
    async with opened(backend, name="the reader") as engine:
        assert engine.name == "the reader"
        assert repr(engine).startswith("<trtasync.Engine 'the reader' on scripted: open")
        async with anyio.create_task_group() as tasks:
            await hold(tasks, engine, backend)
            names = [thread.name for thread in threading.enumerate()]
            assert "trtasync the reader stream 0" in names
            backend.gate.let()
        backend.lose = True
        with pytest.raises(Exception, match="lost"):
            await engine.infer(row(1))
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert record.getMessage().startswith("the reader: stream 0")


async def test_a_name_comes_from_the_file() -> None:
    async with open_engine(LINE, backend="onnxruntime") as engine:
        assert engine.name == "digits_line"
    async with open_engine(ScriptedBackend()) as engine:
        assert engine.name == "scripted"


# -- models in memory -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_a_model_in_memory_on_the_cpu(kind: Any) -> None:
    async with open_engine(LINE, backend="onnxruntime") as engine:
        expected = await engine.infer(IMAGE)
        judged = engine.batching
    async with open_engine(kind(LINE.read_bytes()), backend="onnxruntime") as engine:
        assert engine.name == "model"
        assert same(await engine.infer(IMAGE), expected)
        assert engine.batching.batched == judged.batched


async def test_bytes_that_are_no_model_are_not_shown() -> None:
    with pytest.raises(PlanError, match=r"content \(3000000 bytes\) is no") as caught:
        await open_engine(b"x" * 3_000_000, backend="onnxruntime")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("model", [np.zeros(1_000_000), ["x"] * 1_000_000, object(), 7])
async def test_what_is_no_model_gets_a_short_message(model: Any) -> None:
    with pytest.raises(InvalidInput, match=type(model).__name__) as caught:
        await open_engine(model)
    assert len(str(caught.value)) < 250


async def test_a_plan_in_memory(tmp_path: Path) -> None:
    path = write(tmp_path, models.elementwise(double))
    with doubles.install():
        async with open_engine(path) as engine:
            expected = await engine.infer(row(3))
        async with open_engine(path.read_bytes(), backend="tensorrt") as engine:
            assert same(await engine.infer(row(3)), expected)


# -- forgotten ------------------------------------------------------------------------------------


@pytest.mark.parametrize("loop_budget", [0.0, 1.0])
async def test_a_forgotten_engine_warns_and_is_closed(loop_budget: float) -> None:
    backend = ScriptedBackend()
    engines = [await open_engine(backend, name="lost", streams=2, loop_budget=loop_budget)]
    for value in range(3):
        await engines[0].infer(row(value))
    with pytest.warns(ResourceWarning, match="unclosed <trtasync.Engine 'lost'"):
        engines.clear()  # at once: it does not wait for the collector
    await until(lambda: backend.closed == 1)
    join_threads()
    assert [lane.closed for lane in backend.lanes] == [1, 1]


async def test_a_forgotten_engine_whose_batch_still_runs_ends_after_it() -> None:
    backend = ScriptedBackend()
    engines = [await open_engine(backend, loop_budget=0.0)]
    async with anyio.create_task_group() as tasks:
        blocker = await hold(tasks, engines[0], backend)
        blocker.scope.cancel()
        await ended(blocker)
        with pytest.warns(ResourceWarning, match="unclosed"):
            engines.clear()
        assert backend.closed == 0
        backend.gate.let()
    await until(lambda: backend.closed == 1)
    join_threads()


async def test_a_forgotten_engine_on_a_gpu_frees_the_gpu(tmp_path: Path) -> None:
    path = write(tmp_path, models.elementwise(double))
    with doubles.install() as gpu:
        engines = [await open_engine(path)]
        assert same(await engines[0].infer(row(3)), row(7))
        assert gpu.world.allocations
        with pytest.warns(ResourceWarning, match="unclosed"):
            engines.clear()
        await until(lambda: not gpu.world.allocations)
        join_threads()


FORGOTTEN = f"""
import asyncio, sys, numpy as np, trtasync
from trtasync.testing import ScriptedBackend

async def main():
    for model in ({str(LINE)!r}, ScriptedBackend()):
        engine = await trtasync.open_engine(model, backend="onnxruntime", loop_budget=0.0)
        axes = engine.inputs[0].shape
        await engine.infer(np.zeros([n if isinstance(n, int) else 16 for n in axes], np.float32))
        kept.append(engine)

kept = []
asyncio.run(main())
"""


@pytest.mark.parametrize("last", ["", "kept.clear()", "kept.append(kept)"])
def test_a_process_ends_well_with_an_engine_that_nobody_closed(last: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", FORGOTTEN + last],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "Traceback" not in done.stderr
    assert "unclosed <trtasync.Engine 'digits_line' on onnxruntime" in done.stderr


# -- memory ---------------------------------------------------------------------------------------


async def test_a_closed_engine_holds_neither_model_nor_slots() -> None:
    async with open_engine(LINE, backend="onnxruntime", streams=2) as engine:
        for width in (40, 400):
            await engine.infer(np.zeros((3, 1, 8, width), np.float32))
        session = weakref.ref(vars(engine._backend)["_session"])
        slots = [weakref.ref(slot) for slot in engine._core.policy.slots.all]
        assert len(slots) >= 4
    gc.collect()
    assert session() is None
    assert not any(slot() for slot in slots)
    assert engine.statistics().rows == 6
    assert "closed" in repr(engine)


async def test_an_answer_held_longer_than_the_engine_gives_its_slot_back_to_nobody() -> None:
    pair = np.zeros((2, 6, 64), np.float32)
    async with open_engine(MODELS / "digits_pair.onnx", backend="onnxruntime") as engine:
        lent = await engine.infer({"left": pair[0], "right": pair[1]}, copy=False)
        slots = [weakref.ref(slot) for slot in engine._core.policy.slots.all]
    gc.collect()
    assert sum(slot() is not None for slot in slots) == 1
    lent.release()
    gc.collect()
    assert sum(slot() is not None for slot in slots) == 0
