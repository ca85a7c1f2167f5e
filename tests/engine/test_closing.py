"""Closing: under load, twice, while opening, by an exception; nothing is left, nobody hangs."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Sequence

import anyio
import pytest

from support.helpers import (
    PATIENCE,
    SlowToOpen,
    check_at_rest,
    computed,
    ended,
    hold,
    join_threads,
    row,
    same,
    start,
    submit_all,
    until,
)
from trtasync import Engine, EngineClosed, WrongLoop, open_engine
from trtasync.runtimes import OpenLane
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio


def closed_once(backend: ScriptedBackend) -> bool:
    """The backend and each of its lanes were closed exactly once."""
    return backend.closed == 1 and all(lane.closed == 1 for lane in backend.lanes)


@pytest.mark.parametrize("streams", [1, 3])
async def test_leaving_the_block_answers_everything_accepted(streams: int) -> None:
    backend = ScriptedBackend()
    async with anyio.create_task_group() as tasks:
        async with open_engine(
            backend, streams=streams, max_batch_size=2, loop_budget=0.0
        ) as engine:
            await hold(tasks, engine, backend)
            callers = await submit_all(tasks, engine, range(9))
            tasks.start_soon(_let, backend)
        await ended(*callers)
    assert [caller.answer[0] for caller in callers] == list(range(9))
    assert check_at_rest(engine).answered == 10
    assert closed_once(backend)


async def _let(backend: ScriptedBackend) -> None:
    backend.gate.let()


async def test_an_abort_fails_what_waits_and_answers_what_runs() -> None:
    backend = ScriptedBackend()
    async with (
        open_engine(backend, max_batch_size=2, loop_budget=0.0) as engine,
        anyio.create_task_group() as tasks,
    ):
        running = await hold(tasks, engine, backend)
        waiting = await submit_all(tasks, engine, range(7))
        tasks.start_soon(engine.aclose, False)
        await ended(*waiting)
        assert not running.done
        backend.gate.let()
        await ended(running)
        assert same(running.answer, row(-1))
    assert all(isinstance(caller.error, EngineClosed) for caller in waiting)
    assert computed(backend) == [-1]
    assert closed_once(backend)


async def test_nothing_new_is_taken_while_draining() -> None:
    backend = ScriptedBackend()
    async with (
        open_engine(backend, loop_budget=0.0) as engine,
        anyio.create_task_group() as tasks,
    ):
        running = await hold(tasks, engine, backend)
        tasks.start_soon(engine.aclose)
        await until(lambda: "closing" in repr(engine))
        with pytest.raises(EngineClosed):
            await engine.infer(row(1))
        backend.gate.let()
        await ended(running)
    assert same(running.answer, row(-1))
    with pytest.raises(EngineClosed):
        await engine.infer(row(1))


async def test_a_drain_does_not_wait_for_company() -> None:
    async with (
        open_engine(ScriptedBackend(), max_queue_delay=1000.0) as engine,
        anyio.create_task_group() as tasks,
    ):
        callers = await submit_all(tasks, engine, range(3))
        with anyio.fail_after(PATIENCE):
            await engine.aclose()
        await ended(*callers)
    assert [caller.answer[0] for caller in callers] == [0, 1, 2]


async def test_closing_many_times_at_once() -> None:
    backend = ScriptedBackend()
    async with open_engine(backend, loop_budget=0.0) as engine:
        await engine.infer(row(1))
        async with anyio.create_task_group() as tasks:
            for drain in (True, False, True):
                tasks.start_soon(engine.aclose, drain)
        await engine.aclose()
    await engine.aclose(drain=False)
    assert closed_once(backend)


async def test_an_impatient_second_close_turns_a_drain_into_an_abort() -> None:
    backend = ScriptedBackend()
    async with (
        open_engine(backend, max_batch_size=1, loop_budget=0.0) as engine,
        anyio.create_task_group() as tasks,
    ):
        await hold(tasks, engine, backend)
        waiting = await submit_all(tasks, engine, range(3))
        tasks.start_soon(engine.aclose)
        await until(lambda: "closing" in repr(engine))
        tasks.start_soon(engine.aclose, False)
        await ended(*waiting)
        backend.gate.let()
    assert all(isinstance(caller.error, EngineClosed) for caller in waiting)


async def test_a_cancelled_drain_becomes_an_abort_and_still_closes() -> None:
    backend = ScriptedBackend()
    async with anyio.create_task_group() as tasks:
        async with open_engine(backend, max_batch_size=1, loop_budget=0.0) as engine:
            running = await hold(tasks, engine, backend)
            waiting = await submit_all(tasks, engine, range(3))
            with anyio.CancelScope() as scope:
                tasks.start_soon(_cancel_then_open, scope, engine, backend)
                await engine.aclose()
            assert scope.cancelled_caught
        assert closed_once(backend)
        await ended(running, *waiting)
    assert same(running.answer, row(-1))
    assert all(isinstance(caller.error, EngineClosed) for caller in waiting)


async def _cancel_then_open(
    scope: anyio.CancelScope, engine: Engine, backend: ScriptedBackend
) -> None:
    await until(lambda: "closing" in repr(engine))
    scope.cancel()
    await until(lambda: engine.statistics().queued == 0)
    backend.gate.let()


async def test_a_lane_that_does_not_close_keeps_nothing_else_open() -> None:
    class Stuck(ScriptedBackend):
        def open(
            self, streams: int, max_batch_size: int, batch_sizes: Sequence[int] = ()
        ) -> Sequence[OpenLane]:
            lanes = super().open(streams, max_batch_size, batch_sizes)
            vars(lanes[1].lane)["close"] = self.refuse
            return lanes

        def refuse(self) -> None:
            raise OSError("it does not close")

    backend = Stuck()
    manager = open_engine(backend, streams=3)
    engine = await manager.__aenter__()
    await engine.infer(row(1))
    with pytest.raises(OSError, match="does not close"):
        await manager.__aexit__(None, None, None)
    assert [lane.closed for lane in backend.lanes] == [1, 0, 1]
    assert backend.closed == 1
    await engine.aclose()  # a second time is fine, and does not hang


async def test_an_exception_in_the_block_is_that_exception() -> None:
    backend = ScriptedBackend()
    failure = LookupError("mine")
    async with anyio.create_task_group() as tasks:
        with pytest.raises(LookupError) as caught:  # noqa: PT012  # the block is what is tested
            async with open_engine(backend, max_batch_size=1, loop_budget=0.0) as engine:
                await hold(tasks, engine, backend)
                waiting = await submit_all(tasks, engine, range(2))
                backend.gate.let(1)
                raise failure
        assert caught.value is failure
        await ended(*waiting)
    assert all(isinstance(caller.error, EngineClosed) for caller in waiting)
    assert closed_once(backend)


async def _open(backend: ScriptedBackend) -> None:
    async with open_engine(backend):
        pytest.fail("it was cancelled before it was open")


async def test_closing_while_opening() -> None:
    backend = SlowToOpen()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_open, backend)
        await until(backend.opening.is_set)
        tasks.cancel_scope.cancel()
        backend.go_on.set()
    assert closed_once(backend)


async def test_a_failure_while_opening_closes_the_model() -> None:
    class Refusing(ScriptedBackend):
        def open(
            self, streams: int, max_batch_size: int, batch_sizes: Sequence[int] = ()
        ) -> Sequence[OpenLane]:
            raise LookupError("no lanes")

    backend = Refusing()
    with pytest.raises(LookupError, match="no lanes"):
        async with open_engine(backend):
            pytest.fail("it never opened")
    assert backend.closed == 1


def test_a_bare_task_cancel_while_opening() -> None:
    async def main() -> None:
        backend = SlowToOpen()
        task = asyncio.create_task(_open(backend))
        await until(backend.opening.is_set)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()  # twice: the second one must not tear the clean-up
        backend.go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert closed_once(backend)

    asyncio.run(main())


def test_from_another_loop() -> None:
    backend = ScriptedBackend()
    kept: list[Engine] = []

    async def first() -> None:
        async with open_engine(backend) as engine:
            kept.append(engine)
            other = threading.Thread(target=lambda: asyncio.run(second()))
            other.start()
            await anyio.to_thread.run_sync(other.join)
            assert same(await engine.infer(row(1)), row(1))

    async def second() -> None:
        with pytest.raises(WrongLoop):
            await kept[0].infer(row(1))

    asyncio.run(first())


def test_a_second_loop_in_the_same_thread() -> None:
    backend = ScriptedBackend()
    manager = open_engine(backend)
    loop = asyncio.new_event_loop()
    engine = loop.run_until_complete(manager.__aenter__())

    async def second() -> None:
        with pytest.raises(WrongLoop):
            await engine.infer(row(1))

    asyncio.run(second())
    loop.run_until_complete(manager.__aexit__(None, None, None))
    loop.close()
    assert closed_once(backend)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_after_a_fork() -> None:
    script = """
import asyncio, os, numpy as np
from trtasync import WrongLoop, open_engine
from trtasync.testing import ScriptedBackend

async def main():
    async with open_engine(ScriptedBackend(), loop_budget=0.0) as engine:
        x = np.zeros(4, np.float32)
        await engine.infer(x)
        child = os.fork()
        if child == 0:
            try:
                await engine.infer(x)
            except WrongLoop as error:
                os._exit(7 if "fork" in str(error) or "loop" in str(error) else 1)
            os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        await engine.infer(x)

asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


def test_an_engine_nobody_closed_warns_and_lets_its_threads_go() -> None:
    async def main() -> None:
        engine = await open_engine(ScriptedBackend())
        await engine.infer(row(1))
        kept.append(engine)

    kept: list[object] = []
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    loop.close()
    gc.collect()  # what others have left is not warned of below
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kept.clear()
        gc.collect()
    (warning,) = caught
    assert str(warning.message).startswith("unclosed <trtasync.Engine 'scripted'")
    join_threads()


async def test_a_closed_engine_does_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with (
            open_engine(ScriptedBackend()) as engine,
            anyio.create_task_group() as tasks,
        ):
            await ended(start(tasks, engine, row(1)))
        del engine
        gc.collect()
