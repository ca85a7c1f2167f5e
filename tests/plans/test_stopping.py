"""Cancelling whoever waits for a build: told at once; the build ends at its next step, in the
background, and leaves nothing behind."""

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from support.doubles import Installed
from support.helpers import PATIENCE, until
from tests.genuine.machines import Machine
from tests.plans.support import (
    GATHER,
    Attempt,
    Counts,
    at_the_gate,
    contents,
    counts,
    elsewhere,
    looks_up,
    scaled,
)
from trtasync import BuildProgress, build_plan
from trtasync.plans.locks import locked
from trtasync.system.stopping import Stop, Stopped

pytestmark = pytest.mark.anyio


def building(folder: Path, **options: Any) -> Callable[[], Any]:
    """The work of a task: gather.onnx into a plan."""
    return lambda: build_plan(GATHER, **{"cache": folder, "max_batch_size": 4, **options})


def opening(folder: Path) -> Callable[[], Any]:
    """The work of a task: gather.onnx opened, which builds it."""
    return lambda: looks_up(GATHER, cache=folder)


async def stopped_at_the_gate(
    gpu: Installed,
    work: Callable[[], Any],
    cancel: Callable[[anyio.CancelScope], None] = lambda scope: scope.cancel(),
) -> int:
    """Cancel a build that stands at the gate; how many more steps it took.

    Its task is told while it still stands there; then its thread ends.
    """
    async with at_the_gate(gpu, work) as (attempt,):
        passed = gpu.builds.gate.passed
        cancel(attempt.scope)
        await attempt.done.wait()
        assert opening_threads() == 1
    await until(lambda: not opening_threads())
    assert attempt.scope.cancelled_caught
    assert (attempt.result, attempt.error) == (None, None)
    return gpu.builds.gate.passed - passed


@pytest.mark.parametrize("work", [building, opening])
async def test_a_cancelled_build_ends_at_its_next_step(
    gpu: Installed, tmp_path: Path, work: Callable[[Path], Callable[[], Any]]
) -> None:
    gpu.builds.steps = 50
    assert await stopped_at_the_gate(gpu, work(tmp_path)) <= 2
    assert counts(gpu) == Counts(1, 0, 1)
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("cached", [True, False])
async def test_it_leaves_nothing_where_the_plan_was_to_go(
    gpu: Installed, tmp_path: Path, cached: bool
) -> None:
    cache = tmp_path / "cache" if cached else False
    work = building(tmp_path, cache=cache, output=tmp_path / "out.plan")
    await stopped_at_the_gate(gpu, work)
    assert contents(tmp_path) == {}


async def test_a_plan_that_was_there_stays(gpu: Installed, tmp_path: Path) -> None:
    output = tmp_path / "out.plan"
    output.write_bytes(b"the one before")
    await stopped_at_the_gate(gpu, building(tmp_path / "cache", output=output))
    assert contents(tmp_path) == {"out.plan": b"the one before"}


async def test_its_thread_is_gone_and_its_lock_is_free(gpu: Installed, tmp_path: Path) -> None:
    await stopped_at_the_gate(gpu, building(tmp_path))
    names = {thread.name for thread in threading.enumerate()}
    assert not {name for name in names if "trtasync" in name or "builder" in name}
    (lock,) = (tmp_path / "plans").glob("*.plan.lock")
    refused = threading.Event()
    refused.set()  # do not wait for it
    with locked(lock.with_suffix(""), refused):
        assert lock.exists()


async def test_the_same_can_be_built_at_once_again(gpu: Installed, tmp_path: Path) -> None:
    await stopped_at_the_gate(gpu, building(tmp_path))
    assert await looks_up(GATHER, cache=tmp_path)
    assert counts(gpu) == Counts(2, 1, 1)


async def test_a_function_can_be_stopped_too(gpu: Installed, tmp_path: Path) -> None:
    def work() -> Any:
        return build_plan(scaled(gpu.trt), output=tmp_path / "out.plan")

    await stopped_at_the_gate(gpu, work)
    assert contents(tmp_path) == {}


async def test_a_deadline_stops_a_build(gpu: Installed, tmp_path: Path) -> None:
    def run_out(scope: anyio.CancelScope) -> None:
        scope.deadline = anyio.current_time() - 1

    assert await stopped_at_the_gate(gpu, building(tmp_path), run_out) <= 2
    assert contents(tmp_path) == {}


async def test_a_build_that_was_cancelled_before_it_began_does_not_begin(
    machine: Machine, tmp_path: Path
) -> None:
    attempt = Attempt()
    attempt.scope.cancel()
    await attempt.run(building(tmp_path))
    assert attempt.scope.cancelled_caught
    assert machine.builds.started == 0
    assert contents(tmp_path) == {}


def test_only_harmless_work_is_not_waited_for() -> None:
    stop = Stop()
    with stop.harmless():
        pass
    assert not stop.call_off()
    with pytest.raises(Stopped), stop.harmless():
        raise AssertionError("it does not begin")
    called_off = Stop()
    with pytest.raises(Stopped), called_off.harmless():
        assert called_off.call_off()
    assert not called_off.call_off()


def test_who_calls_work_off_is_told_that_it_was_decided_before_or_it_never_is() -> None:
    decided = Stop()
    with decided.harmless():
        with decided.decision():
            pass
        assert not decided.call_off()
    called_off = Stop()
    with suppress(Stopped), called_off.harmless():
        with called_off.decision(final=False):
            pass
        assert called_off.call_off()
        with pytest.raises(Stopped), called_off.decision():
            raise AssertionError("it does not happen")


async def test_nobody_hears_of_a_build_that_was_called_off(gpu: Installed, tmp_path: Path) -> None:
    news: list[BuildProgress] = []
    gpu.builds.steps = 50
    heard = await stopped_at_the_gate(gpu, building(tmp_path, progress=news.append))
    assert heard
    assert not [each for each in news if each.finished]


async def test_waiting_for_another_task_that_builds_can_be_cancelled(
    gpu: Installed, tmp_path: Path
) -> None:
    async with at_the_gate(gpu, building(tmp_path)) as (builder,):
        await cancelled_while_it_waits(building(tmp_path))
        assert not builder.done.is_set()
    assert not builder.result.cached
    assert gpu.builds.finished == 1


async def cancelled_while_it_waits(work: Callable[[], Any]) -> None:
    """Cancel somebody who cannot build because somebody else does."""
    attempt, threads = Attempt(), opening_threads()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(attempt.run, work)
        await until(lambda: opening_threads() > threads)
        attempt.scope.cancel()
    assert attempt.scope.cancelled_caught
    await until(lambda: opening_threads() == threads)


def opening_threads() -> int:
    """Threads that build, or wait for a lock to build."""
    return sum("trtasync" in thread.name for thread in threading.enumerate())


async def test_waiting_for_another_process_that_builds_can_be_cancelled(
    gpu: Installed, tmp_path: Path
) -> None:
    plan = await build_plan(GATHER, cache=tmp_path, max_batch_size=4)
    plan.path.unlink()
    let = threading.Event()

    def hold(begun: threading.Event) -> None:
        with locked(plan.path):
            begun.set()
            assert let.wait(PATIENCE)

    with elsewhere(hold):
        try:
            await cancelled_while_it_waits(building(tmp_path))
        finally:
            let.set()
    assert gpu.builds.started == 1
    assert await looks_up(GATHER, cache=tmp_path)
