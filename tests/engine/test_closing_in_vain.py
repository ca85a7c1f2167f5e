"""Closing that is itself cancelled, fails, or has no thread to do it in: it ends all the same."""

import asyncio
import logging
import threading

import anyio
import pytest
from anyio.lowlevel import checkpoint

from support.helpers import ended, hold, join_threads, opened, row, same, until
from trtasync import EngineClosed, open_engine
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio


class DoesNotClose(ScriptedBackend):
    """Counts the attempt, and fails."""

    def close(self) -> None:
        super().close()
        raise OSError("the model does not close")


async def test_who_waits_for_another_s_closing_may_leave() -> None:
    backend = ScriptedBackend()
    async with opened(backend) as engine, anyio.create_task_group() as tasks:
        blocker = await hold(tasks, engine, backend)
        tasks.start_soon(engine.aclose)
        await until(lambda: "closing" in repr(engine))
        with anyio.CancelScope() as impatient:
            tasks.start_soon(_cancel, impatient)
            await engine.aclose()
        assert impatient.cancelled_caught
        assert backend.closed == 0
        backend.gate.let()
        await until(lambda: backend.closed == 1)
        await ended(blocker)
        assert same(blocker.answer, row(-1))


async def _cancel(scope: anyio.CancelScope) -> None:
    scope.cancel()


def test_a_bare_cancel_of_an_abort_closes_first() -> None:
    async def main() -> None:
        backend = ScriptedBackend()
        engine = await open_engine(backend, loop_budget=0.0)
        async with anyio.create_task_group() as tasks:
            blocker = await hold(tasks, engine, backend)
            closing = asyncio.ensure_future(engine.aclose(drain=False))
            await until(lambda: engine._core.pump.idle is not None)
            closing.cancel()
            for _ in range(5):
                await checkpoint()
            assert not closing.done()
            backend.gate.let()
            with pytest.raises(asyncio.CancelledError):
                await closing
            await ended(blocker)
        assert backend.closed == 1
        assert same(blocker.answer, row(-1))

    asyncio.run(main())


async def test_a_closed_engine_gives_no_memory_for_inputs() -> None:
    async with open_engine(ScriptedBackend()) as engine:
        assert engine.empty_input(3).shape == (3, 4)
        assert engine.empty_input().shape == (4,)
    with pytest.raises(EngineClosed):
        engine.empty_input(3)


async def test_a_forgotten_engine_that_does_not_close_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    backend = DoesNotClose()
    engines = [await open_engine(backend, name="lost")]
    with pytest.warns(ResourceWarning, match="unclosed"):
        engines.clear()
    await until(lambda: backend.closed == 1)
    join_threads()
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == "lost: it was forgotten, and does not close"
    assert "the model does not close" in str(record.exc_info)


async def test_a_forgotten_engine_is_closed_where_there_is_no_thread_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    backend = ScriptedBackend()
    engines = [await open_engine(backend)]
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.warns(ResourceWarning, match="unclosed"):
            engines.clear()
        await until(lambda: backend.closed == 1)
    assert [lane.closed for lane in backend.lanes] == [1]
