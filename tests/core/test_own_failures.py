"""A batch fails of its own: no memory for its answers, no thread to run it. The engine goes on."""

import threading
from pathlib import Path
from typing import Any

import anyio
import pytest

from support.helpers import (
    Array,
    SlowToOpen,
    check_at_rest,
    ended,
    opened,
    row,
    rows,
    same,
    start,
    until,
)
from tests.tensorrt.support import engine_on
from trtasync import InferenceError, TrtasyncError, open_engine
from trtasync.core import completion
from trtasync.requests import answers
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("loop_budget", [0.0, 1.0])
async def test_no_memory_for_the_answers_of_one_batch(
    monkeypatch: pytest.MonkeyPatch, loop_budget: float, count: int
) -> None:
    short, real = True, completion.plain_rows

    def plain_rows(*arguments: Any) -> Any:
        if short:
            raise MemoryError
        return real(*arguments)

    monkeypatch.setattr("trtasync.core.completion.plain_rows", plain_rows)
    async with open_engine(ScriptedBackend(), loop_budget=loop_budget) as engine:
        async with anyio.create_task_group() as tasks:
            callers = [start(tasks, engine, row(value)) for value in range(count)]
            await ended(*callers)
        for caller in callers:
            assert isinstance(caller.error, InferenceError)
            assert "MemoryError" in str(caller.error)
        short = False
        assert same(await engine.infer(row(5)), row(5))
        assert check_at_rest(engine).failed == count


async def test_no_memory_for_one_answer_among_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def take_or_not(outputs: list[Array], at: int, count: int) -> Any:
        if count == 3:
            raise MemoryError
        return answers.take(outputs, at, count)

    monkeypatch.setattr("trtasync.core.completion.take", take_or_not)
    async with open_engine(ScriptedBackend()) as engine:
        async with anyio.create_task_group() as tasks:
            large = start(tasks, engine, rows([1, 2, 3]))
            small = start(tasks, engine, rows([4, 5]))
            await ended(large, small)
        assert isinstance(large.error, InferenceError)
        assert same(small.answer, rows([4, 5]))
        assert check_at_rest(engine).failed == 1


class Threads:
    """`threading.Thread.start`, which fails while none are left.

    Attributes:
        left: how many may start.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = 1000
        started = threading.Thread.start

        def start(thread: threading.Thread) -> None:
            if "trtasync" in thread.name and "fake" not in thread.name and self.left <= 0:
                raise RuntimeError("can't start new thread")
            self.left -= 1
            started(thread)

        monkeypatch.setattr(threading.Thread, "start", start)


async def test_no_thread_for_a_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who needs it is refused; the next batch tries again, and closing needs none."""
    threads = Threads(monkeypatch)
    backend = ScriptedBackend()
    async with open_engine(backend, loop_budget=0.0) as engine:
        threads.left = 0
        with pytest.raises(TrtasyncError, match="cannot be started"):
            await engine.infer(row(1))
        threads.left = 1
        assert same(await engine.infer(row(2)), row(2))
        check_at_rest(engine)
        threads.left = 0
    assert backend.closed == 1
    assert all(lane.closed for lane in backend.lanes)


async def test_no_thread_for_an_asynchronous_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is under way there is asked for its end; what fails together, fails."""
    threads = Threads(monkeypatch)
    backend = ScriptedBackend(asynchronous=True)
    backend.bad = lambda values: bool(values[0] < 0)
    async with open_engine(backend, loop_budget=0.0) as engine:
        threads.left = 0
        assert same(await engine.infer(row(1)), row(1))
        async with anyio.create_task_group() as tasks:
            callers = [start(tasks, engine, row(value)) for value in (1, -1)]
            await ended(*callers)
        assert ["cannot be started" in str(caller.error) for caller in callers] == [True, True]
        assert same(await engine.infer(row(2)), row(2))
        check_at_rest(engine)


@pytest.mark.parametrize("left", [0, 1])
async def test_no_thread_for_copies(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, left: int
) -> None:
    """Fewer make them, or the callers do it themselves."""
    threads = Threads(monkeypatch)
    async with engine_on(tmp_path, inline_bytes=0, copy_threads=2, loop_budget=1.0) as (engine, _):
        threads.left = left
        for _ in range(3):
            assert same(await engine.infer(rows([1, 2, 3])), rows([3, 5, 7]))
        names = [thread.name for thread in threading.enumerate()]
        assert sum("trtasync copy" in name for name in names) == left


async def test_no_thread_to_watch_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine does not open, and what was opened for it is closed."""
    threads = Threads(monkeypatch)
    threads.left = 1
    backend = ScriptedBackend()
    with pytest.raises(TrtasyncError, match=r"watchdog.*cannot be started"):
        await open_engine(backend, run_timeout=1.0)
    assert backend.closed == 1
    assert all(lane.closed for lane in backend.lanes)


async def test_no_thread_to_close_what_nobody_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opened it was cancelled meanwhile."""
    threads = Threads(monkeypatch)
    threads.left = 1
    backend = SlowToOpen()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(open_engine(backend).__aenter__)
        await until(backend.opening.is_set)
        tasks.cancel_scope.cancel()
        backend.go_on.set()
    assert backend.closed == 1


async def test_no_thread_to_open_with(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = Threads(monkeypatch)
    threads.left = 0
    with pytest.raises(TrtasyncError, match=r"open/close.*cannot be started.*ulimit -u"):
        await open_engine(ScriptedBackend())
    threads.left = 1000
    async with opened(ScriptedBackend()) as engine:
        assert same(await engine.infer(row(1)), row(1))
