"""Runs that never end: `run_timeout`, closing and Ctrl-C come to an end all the same."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import anyio
import numpy as np
import pytest

from support.helpers import PATIENCE, ended, heed_sigint, hold, row, same, start, until
from tests.core.endless import FOREVER, endless_model
from trtasync import DeviceLost, InferenceError, InvalidInput, RunTooLong, open_engine
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio


def steps(*counts: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    return np.array([[count] for count in counts], np.int64)


@pytest.mark.parametrize("loop_budget", [0.0, 1.0])
async def test_a_run_on_the_loop_itself_is_stopped(tmp_path: Path, loop_budget: float) -> None:
    """It was measured to be short, and blocks the loop now: a thread watches."""
    path = endless_model(tmp_path / "endless.onnx")
    async with open_engine(
        path, backend="onnxruntime", batching=False, loop_budget=loop_budget, run_timeout=0.5
    ) as engine:
        for _ in range(20):
            await engine.infer(steps(1))
        with pytest.raises(InferenceError, match="run_timeout"):
            await engine.infer(steps(FOREVER))
        on_loop = engine.statistics().streams[0].on_loop
        assert (on_loop > 0) == (loop_budget > 0)
        assert same(await engine.infer(steps(3)), steps(6))


@pytest.mark.parametrize("batching", [False, True])
async def test_the_runtime_is_stopped(tmp_path: Path, batching: bool) -> None:
    """The request fails, and the lane serves the next one."""
    path = endless_model(tmp_path / "endless.onnx")
    async with open_engine(
        path, backend="onnxruntime", batching=batching, run_timeout=0.4
    ) as engine:
        for _ in range(2):
            with pytest.raises(InferenceError, match=r"longer than run_timeout=0\.4 seconds"):
                await engine.infer(steps(FOREVER))
            assert same(await engine.infer(steps(3)), steps(6))
        assert engine.statistics().streams[0].alive


async def test_its_neighbours_are_answered(tmp_path: Path) -> None:
    """Who keeps a batch from ending is found like who makes one fail."""
    path = endless_model(tmp_path / "endless.onnx")
    async with (
        open_engine(path, backend="onnxruntime", batching=True, run_timeout=0.4) as engine,
        anyio.create_task_group() as tasks,
    ):
        slow = start(tasks, engine, steps(FOREVER))
        quick = start(tasks, engine, steps(2))
        await ended(slow, quick)
        assert isinstance(slow.error, InferenceError)
        assert same(quick.answer, steps(4))


async def test_a_batch_that_never_ends_holds_its_lane_three_times_at_most(tmp_path: Path) -> None:
    """Once whole, once each half; alone, its eight rows would hold it fifteen times."""
    path = endless_model(tmp_path / "endless.onnx")
    async with (
        open_engine(
            path, backend="onnxruntime", batching=True, run_timeout=0.3, max_batch_size=8
        ) as engine,
        anyio.create_task_group() as tasks,
    ):
        slow = [start(tasks, engine, steps(FOREVER)) for _ in range(8)]
        await ended(*slow)
        assert engine.statistics().retried == 1
        assert len({id(caller.error.__cause__) for caller in slow if caller.error}) == 2
        assert {type(caller.error) for caller in slow} == {RunTooLong}


async def test_what_was_ended_is_not_taken_for_short(tmp_path: Path) -> None:
    """The loop is blocked once, not by each such request."""
    path = endless_model(tmp_path / "endless.onnx")
    async with open_engine(
        path, backend="onnxruntime", batching=False, loop_budget=0.1, run_timeout=0.5
    ) as engine:
        for _ in range(20):
            await engine.infer(steps(1))
        with pytest.raises(RunTooLong):
            await engine.infer(steps(FOREVER))
        on_loop = engine.statistics().streams[0].on_loop
        with pytest.raises(RunTooLong):
            await engine.infer(steps(FOREVER))
        assert engine.statistics().streams[0].on_loop == on_loop


async def test_what_cannot_be_stopped_is_lost() -> None:
    """As on a GPU: the lane goes, the other one serves."""
    backend = ScriptedBackend()
    async with (
        open_engine(backend, streams=2, loop_budget=0.0, run_timeout=0.5) as engine,
        anyio.create_task_group() as tasks,
    ):
        stuck = await hold(tasks, engine, backend)
        await ended(stuck)
        assert isinstance(stuck.error, DeviceLost)
        assert "run_timeout" in str(stuck.error)
        assert [stream.alive for stream in engine.statistics().streams].count(True) == 1
        backend.gate.let()
        assert same(await engine.infer(row(1)), row(1))


@pytest.mark.parametrize("drain", [False, True])
async def test_closing_does_not_wait_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drain: bool
) -> None:
    monkeypatch.setattr("trtasync.engine.DRAINING", 0.2)
    monkeypatch.setattr("trtasync.engine.ABORTING", 0.2)
    path = endless_model(tmp_path / "endless.onnx")
    engine = await open_engine(path, backend="onnxruntime", batching=False)
    async with anyio.create_task_group() as tasks:
        stuck = start(tasks, engine, steps(FOREVER))
        await until(lambda: engine.statistics().in_flight == 1)
        with anyio.fail_after(PATIENCE):
            await engine.aclose(drain=drain)
        await ended(stuck)
        assert isinstance(stuck.error, InferenceError)


async def test_closing_leaves_a_lane_that_cannot_be_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither it nor the model is freed under a run that goes on."""
    monkeypatch.setattr("trtasync.engine.DRAINING", 0.1)
    monkeypatch.setattr("trtasync.core.closing.STOPPING", 0.1)
    backend = ScriptedBackend()
    engine = await open_engine(backend, streams=2, loop_budget=0.0)
    assert same(await engine.infer(row(1)), row(1))
    async with anyio.create_task_group() as tasks:
        stuck = await hold(tasks, engine, backend)
        with anyio.fail_after(PATIENCE):
            await engine.aclose()
        assert isinstance(stuck.error, DeviceLost)
    assert sorted(lane.closed for lane in backend.lanes) == [0, 1]
    assert backend.closed == 0
    backend.gate.let()
    for thread in threading.enumerate():
        if "scripted stream" in thread.name:
            thread.join(PATIENCE)


async def test_what_nobody_waits_for_is_stopped_and_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its callers have gone, and the engine is closed without drain."""
    monkeypatch.setattr("trtasync.engine.ABORTING", 3600.0)
    path = endless_model(tmp_path / "endless.onnx")
    engine = await open_engine(path, backend="onnxruntime", batching=True, max_batch_size=4)
    async with anyio.create_task_group() as tasks:
        stuck = [start(tasks, engine, steps(FOREVER)) for _ in range(3)]
        await until(lambda: engine.statistics().in_flight == 3)
        for caller in stuck:
            caller.scope.cancel()
        await ended(*stuck)
    with anyio.fail_after(PATIENCE):
        await engine.aclose(drain=False)
    assert engine.statistics().retried == 0


@pytest.mark.parametrize("value", [0, -1, True, "1", float("inf"), float("nan")])
def test_a_timeout_that_makes_no_sense(value: object) -> None:
    with pytest.raises(InvalidInput, match="run_timeout"):
        open_engine(ScriptedBackend(), run_timeout=value)  # type: ignore[call-overload]  # wrong on purpose


@pytest.mark.parametrize("loop", ["asyncio", "uvloop", "trio"])
def test_one_ctrl_c_ends_a_program(tmp_path: Path, loop: str) -> None:
    path = endless_model(tmp_path / "endless.onnx")
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.core.endless", str(path), loop],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env=os.environ,
        preexec_fn=heed_sigint,
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "running\n"
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=PATIENCE)  # nobody waits for that run
    finally:
        child.kill()
        child.communicate()
    assert "KeyboardInterrupt" in errors
    assert child.returncode != 0
