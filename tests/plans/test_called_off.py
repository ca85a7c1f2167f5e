"""Who calls a build off is told at once, whatever it is at; and no plan appears from then on.

What happens last is one decision: the plan is there and handed out, or it never is.
"""

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import FrameType
from typing import Any

import anyio
import onnx
import pytest
from anyio import to_thread

from support import doubles
from support.doubles import Installed
from support.helpers import PATIENCE, until
from tests.plans.support import GATHER, Attempt, contents, looks_up
from trtasync import Plan, build_plan
from trtasync.plans.job import Job
from trtasync.plans.plan import make_order
from trtasync.system.stopping import Stop, Stopped

BEFORE = b"the one before"


class Pause:
    """Something of the system that waits, once, when it is called.

    Attributes:
        begun: it waits.
        go_on: it need not any more.
    """

    def __init__(self, does: Callable[..., Any], when: Callable[[], bool]):
        self.begun, self.go_on = threading.Event(), threading.Event()
        self._does, self._when = does, when

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        if not self.begun.is_set() and self._when():
            self.begun.set()
            assert self.go_on.wait(PATIENCE)
        return self._does(*arguments, **options)


def importing(gpu: Installed) -> tuple[Any, str]:
    sys.modules.pop(Job.__module__)  # as in the first build of a process
    return SourceFileLoader, "get_code"


def reading(gpu: Installed) -> tuple[Any, str]:
    return onnx, "load_model_from_string"


def parsing(gpu: Installed) -> tuple[Any, str]:
    return gpu.trt.OnnxParser, "parse"


def building(gpu: Installed) -> tuple[Any, str]:
    return gpu.trt.Builder, "build_serialized_network"


def writing(gpu: Installed) -> tuple[Any, str]:
    return os, "fsync"


@contextmanager
def paused(place: tuple[Any, str], when: Callable[[], bool] = lambda: True) -> Iterator[Pause]:
    """Meanwhile the first call there waits, of those at which `when` holds."""
    owner, name = place
    with pytest.MonkeyPatch.context() as patching:
        pause = Pause(getattr(owner, name), when)
        # a function, so that it is bound where it is a method
        patching.setattr(owner, name, lambda *given, **options: pause(*given, **options))
        try:
            yield pause
        finally:
            pause.go_on.set()


def off_the_loop() -> bool:
    """Not what the loop's thread does itself."""
    return threading.current_thread() is not threading.main_thread()


def builders() -> list[str]:
    """Names of threads that build."""
    return [each.name for each in threading.enumerate() if "trtasync" in each.name]


@pytest.mark.anyio
@pytest.mark.parametrize("phase", [importing, reading, parsing, building, writing])
@pytest.mark.parametrize("kept", [True, False])
async def test_it_is_told_at_once_in_every_phase_and_nothing_appears(
    gpu: Installed, tmp_path: Path, phase: Callable[[Installed], tuple[Any, str]], kept: bool
) -> None:
    output = tmp_path / "out.plan"
    output.write_bytes(BEFORE)
    attempt = Attempt()
    cache = tmp_path / "cache" if kept else False
    async with anyio.create_task_group() as tasks:
        with paused(phase(gpu), when=off_the_loop) as pause:
            tasks.start_soon(attempt.run, lambda: build_plan(GATHER, output=output, cache=cache))
            assert await to_thread.run_sync(pause.begun.wait, PATIENCE)
            attempt.scope.cancel()
            with anyio.fail_after(PATIENCE / 2):
                await attempt.done.wait()
            assert builders()  # it is still at it
    await until(lambda: not builders())
    assert attempt.scope.cancelled_caught
    assert contents(tmp_path) == {"out.plan": BEFORE}


@pytest.mark.anyio
async def test_an_opening_that_builds_is_told_at_once_too(gpu: Installed, tmp_path: Path) -> None:
    attempt = Attempt()
    async with anyio.create_task_group() as tasks:
        with paused(writing(gpu)) as pause:
            tasks.start_soon(attempt.run, lambda: looks_up(GATHER, cache=tmp_path))
            assert await to_thread.run_sync(pause.begun.wait, PATIENCE)
            attempt.scope.cancel()
            with anyio.fail_after(PATIENCE / 2):
                await attempt.done.wait()
            assert builders()
    await until(lambda: not builders())
    assert attempt.scope.cancelled_caught
    assert contents(tmp_path) == {}


@pytest.mark.anyio
async def test_once_the_plan_is_there_it_is_handed_out_whoever_is_cancelled(
    gpu: Installed, tmp_path: Path
) -> None:
    output, attempt = tmp_path / "out.plan", Attempt()
    afterwards = paused((os, "open"), when=output.exists)  # of the folder, to make the name last
    async with anyio.create_task_group() as tasks:
        with afterwards as pause:
            tasks.start_soon(
                attempt.run, lambda: build_plan(GATHER, output=output, cache=tmp_path / "cache")
            )
            assert await to_thread.run_sync(pause.begun.wait, PATIENCE)
            attempt.scope.cancel()
    assert not attempt.scope.cancelled_caught
    assert isinstance(attempt.result, Plan)
    assert attempt.result.path == output


def test_a_task_that_asyncio_cancels_is_cancelled_all_the_same(
    gpu: Installed, tmp_path: Path
) -> None:
    """Nobody would cancel it once more."""
    output = tmp_path / "out.plan"

    async def main() -> None:
        with paused((os, "open"), when=output.exists) as pause:
            task = asyncio.create_task(build_plan(GATHER, output=output, cache=False))
            assert await asyncio.to_thread(pause.begun.wait, PATIENCE)
            task.cancel()
            await asyncio.sleep(0)  # it has heard of it, and waits on
            pause.go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    assert output.exists()


# -- every moment ---------------------------------------------------------------------------------


class CalledOff:
    """A build that is called off at some moment: when a function of ours is called or returns.

    Attributes:
        moments: there were so many until then.
        told: what was said to whoever called it off; None where it was over before.
        result: what came of it; None where it was stopped.
    """

    def __init__(self, moment: int, **order: Any):
        self.moments = 0
        self.told: bool | None = None
        self.result: Any = None
        self._moment, self._stop = moment, Stop()
        self._caller = threading.Thread(target=self._call_off)
        self._run(Job(make_order(GATHER, **order), self._stop))

    def _run(self, job: Job) -> None:
        sys.setprofile(self._look)
        try:
            self.result = job.run()
        except Stopped:
            pass
        finally:
            sys.setprofile(None)
            if self._caller.ident is not None:
                self._caller.join()

    def _look(self, frame: FrameType, event: str, argument: object) -> None:
        if frame.f_globals.get("__name__", "").startswith("trtasync."):
            self.moments += 1
            if self.moments == self._moment:
                self._caller.start()
                self._caller.join(0.05)  # not longer: what decides has to go on

    def _call_off(self) -> None:
        self.told = self._stop.call_off()


@pytest.mark.parametrize("output", [True, False])
@pytest.mark.parametrize("hit", [True, False])
def test_at_no_moment_does_a_plan_appear_of_which_nobody_is_told(
    tmp_path: Path, output: bool, hit: bool
) -> None:
    """Or the other way round."""
    with doubles.install():
        cache, out = tmp_path / "cache", tmp_path / "out.plan"
        order = {"cache": cache, **({"output": out} if output else {})}
        entry = dict[str, bytes]()

        def clean() -> None:
            for name in contents(tmp_path):
                if not (hit and name in entry):
                    (tmp_path / name).unlink()

        if hit:
            assert CalledOff(-1, **order).result
            entry = {k: v for k, v in contents(tmp_path).items() if k.startswith("cache/plans")}
            assert len(entry) == 2
        for _ in range(2):  # whatever is imported late is there in the second
            clean()
            moments = CalledOff(-1, **order).moments
        wanted = contents(tmp_path)
        told = set()
        for moment in sorted({*range(1, moments, moments // 40), *range(moments - 120, moments)}):
            clean()
            attempt = CalledOff(moment, **order)
            told.add((attempt.told, attempt.result is not None))
            there = {k: v for k, v in contents(tmp_path).items() if not k.endswith(".timing")}
            if attempt.result is None:
                assert there == entry, moment
            else:
                assert not attempt.told
                assert there.keys() == {k for k in wanted if not k.endswith(".timing")}, moment
        assert {(True, False), (False, True)} <= told
