"""A host that ends, and the next one: the same engine goes on."""

import gc
import os
import pickle
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from support.helpers import PATIENCE, ended, opened, row, same, submit, tensor, until
from tests.shared.joined import Joined, host_of, joined
from trtasync import (
    AnyEngine,
    BackendUnavailable,
    DeviceLost,
    EngineClosed,
    EngineRestarting,
    connect,
)
from trtasync.host import serve
from trtasync.shared import joining
from trtasync.shared.client import SharedEngine
from trtasync.shared.link import Way
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio


@contextmanager
def hidden(shared: Joined) -> Iterator[None]:
    """The host is gone without a word, and there is no other one in the block."""
    shared.host.hide()
    shared.host.cut()
    try:
        yield
    finally:
        shared.host.show()


async def restarting(shared: Joined) -> EngineRestarting:
    """What a request gets while there is no host."""
    with pytest.raises(EngineRestarting) as caught:
        await shared.engine.infer(row(1))
    return caught.value


async def test_all_who_wait_are_told_at_once() -> None:
    async with joined(max_batch_size=1) as shared, anyio.create_task_group() as tasks:
        await shared.engine.infer(row(0))
        shared.backend.gate.shut()
        callers = [await submit(tasks, shared.engine, row(value)) for value in range(20)]
        await until(lambda: shared.backend.gate.arrived == 2)
        with hidden(shared):
            await ended(*callers)  # the gate is still shut
            assert all(isinstance(caller.error, DeviceLost) for caller in callers)
            assert "was not tried again" in str(callers[0].error)
        shared.backend.gate.let()


async def test_meanwhile_requests_are_told_so_and_then_it_goes_on() -> None:
    async with joined() as shared:
        engine = shared.engine
        await engine.infer(row(0))
        with hidden(shared):
            await until(lambda: not shared.engine.is_alive)
            first = await restarting(shared)
            assert first.since < 20
            await until(lambda: engine._link._attempt > first.attempt)
            later = await restarting(shared)
            assert later.attempt > first.attempt
            assert later.since > first.since
            assert vars(pickle.loads(pickle.dumps(later))) == vars(later)
        await until(lambda: engine.is_alive)
        assert same(await engine.infer(row(2)), row(2))


async def test_who_would_rather_wait_waits() -> None:
    async with joined(reconnect=60) as shared, anyio.create_task_group() as tasks:
        await shared.engine.infer(row(0))
        with hidden(shared):
            await until(lambda: not shared.engine._link.session.is_open)
            callers = [await submit(tasks, shared.engine, row(value)) for value in range(5)]
            await until(lambda: shared.engine._link._attempt > 1)
            assert not any(caller.done for caller in callers)
        await ended(*callers)
        assert all(same(caller.answer, row(value)) for value, caller in enumerate(callers))


async def test_who_waits_long_enough_is_told_all_the_same() -> None:
    async with joined(reconnect=0.05) as shared:
        with hidden(shared):
            await until(lambda: not shared.engine._link.session.is_open)
            assert (await restarting(shared)).since > 0.045  # uvloop's clock ticks in ms


async def test_arrays_of_before_are_taken_as_any_other() -> None:
    backend = ScriptedBackend(
        lambda x: x[:, :4].copy(),
        inputs=[tensor("x", "N", 50_000)],
        outputs=[tensor("y", "N", 4)],
    )
    async with joined(backend, reconnect=60) as shared:
        before = shared.engine.empty_input()
        before[...] = 1
        await shared.engine.infer(before)
        with hidden(shared):
            await until(lambda: not shared.engine._link.session.is_open)
            meanwhile = shared.engine.empty_input()
            meanwhile[...] = 2
        assert same(await shared.engine.infer(before), row(1))
        assert same(await shared.engine.infer(meanwhile), row(2))
        after = shared.engine.empty_input()
        after[...] = 3
        assert same(await shared.engine.infer(after), row(3))
        del after
        assert shared.in_use == 0


async def test_what_a_host_leaves_unread_when_it_ends_is_known_not_to_be_computed() -> None:
    async with joined() as shared, anyio.create_task_group() as tasks:
        await shared.engine.infer(row(0))
        (session,) = shared.host.sessions
        session._connection.hold_up()
        caller = await submit(tasks, shared.engine, row(1))
        shared.host.stop()
        await ended(caller)
        assert isinstance(caller.error, EngineRestarting)
        assert "before it took this request" in str(caller.error)
        assert len(shared.backend.computed) == 1


async def test_a_lent_answer_outlives_its_host() -> None:
    async with joined() as shared:
        with await shared.engine.infer(row(1), copy=False) as lent:
            with hidden(shared):
                await until(lambda: not shared.engine._link.session.is_open)
            assert same(lent, row(1))
        await until(lambda: shared.engine._link.session.is_open)
        assert shared.in_use == 0


async def test_a_host_that_serves_something_else_is_not_taken() -> None:
    async with joined() as shared:
        with hidden(shared):
            await until(lambda: not shared.engine._link.session.is_open)
            other = ScriptedBackend(inputs=[tensor("z", "N", 4)])
            async with host_of(other) as host:
                os.rename(host.path, shared.host.path)
                await until(lambda: "another model" in shared.engine._link._problem)
                assert "another model" in str(await restarting(shared))
                os.rename(shared.host.path, host.path)
        await until(lambda: shared.engine._link.session.is_open)
        assert same(await shared.engine.infer(row(2)), row(2))


@pytest.mark.parametrize("drain", [True, False])
async def test_closing_ends_the_search_for_a_host(drain: bool) -> None:
    async with joined(reconnect=60) as shared, anyio.create_task_group() as tasks:
        with hidden(shared):
            await until(lambda: not shared.engine._link.session.is_open)
            caller = await submit(tasks, shared.engine, row(1))
            with anyio.fail_after(PATIENCE):
                await shared.engine.aclose(drain)
            await ended(caller)
            assert isinstance(caller.error, EngineClosed)


async def test_the_next_host_may_call_the_model_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "host.sock"
    async with opened(ScriptedBackend()) as own, anyio.create_task_group() as tasks:
        stops = [anyio.Event(), anyio.Event()]
        await tasks.start(partial(serve, {"one": own}, path, stop=stops[0]))
        async with connect(path, reconnect=60) as engine:
            await engine.infer(row(1))
            stops[0].set()
            await until(lambda: not path.exists())
            await tasks.start(partial(serve, {"other": own}, path, stop=stops[1]))
            await until(lambda: path.exists())
            assert same(await engine.infer(row(2)), row(2))
            statistics = await anyio.to_thread.run_sync(engine.statistics)
            assert statistics.requests == 2
        stops[1].set()


async def test_who_is_closing_is_not_opened_by_a_host_that_comes_back() -> None:
    async with joined() as shared:
        assert isinstance(shared.engine, SharedEngine)
        link = shared.engine._link
        shared.host.hide()
        shared.host.cut()
        await until(lambda: link.refusal is not None)
        link.refuse()  # as `aclose` does, which then waits
        shared.host.show()
        await until(lambda: not any("mend" in each.name for each in threading.enumerate()))
        for _ in range(3):
            with pytest.raises(EngineClosed, match="open another one"):
                await shared.engine.infer(row(1))
            await anyio.lowlevel.checkpoint()
    assert not shared.host.sessions


async def test_who_has_waited_leaves_nothing() -> None:
    async with joined(reconnect=0.001) as shared:
        with hidden(shared):
            await until(lambda: shared.engine._link.refusal is not None)
            for _ in range(9):
                await restarting(shared)
            assert not shared.engine._link._waiting


async def test_nothing_is_waited_for_that_nobody_waits_for() -> None:
    async with joined() as shared:
        session = next(iter(shared.host.sessions))
        session._connection.hold_up()  # it is stopped
        with anyio.move_on_after(0.01) as scope:
            await shared.engine.infer(row(1))
        assert scope.cancelled_caught
        with anyio.fail_after(PATIENCE):
            await shared.engine.aclose()


async def test_closing_needs_no_descriptor() -> None:
    async with joined() as shared:
        await shared.engine.infer(row(1))
        unused = os.dup(0)
        os.close(unused)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (unused, hard))
        try:
            with pytest.raises(BackendUnavailable, match="Too many open files"):
                shared.engine.statistics()
            await shared.engine.aclose()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await until(lambda: not shared.host.sessions)


async def test_who_forgets_an_engine_is_warned_and_the_host_is_told() -> None:
    async with host_of(ScriptedBackend()) as host:
        engines: list[AnyEngine] = [await connect(host.path)]
        await engines[0].infer(row(1))
        await anyio.lowlevel.checkpoint()
        with pytest.warns(ResourceWarning, match="unclosed <trtasync.SharedEngine 'scripted'"):
            _forget(engines)
        await until(lambda: not host.sessions)


async def test_a_host_that_talks_nonsense_is_left() -> None:
    async with joined() as shared, anyio.create_task_group() as tasks:
        await shared.engine.infer(row(0))
        shared.backend.gate.shut()
        caller = await submit(tasks, shared.engine, row(1))
        await until(lambda: shared.backend.gate.arrived == 2)
        session = next(iter(shared.host.sessions))
        session.say(b"\xff" * 32)
        shared.host.flush()
        await ended(caller)
        assert isinstance(caller.error, DeviceLost)
        assert "nobody says" in str(caller.error)
        shared.backend.gate.let()


async def test_who_forgets_an_engine_without_a_host_leaves_no_thread() -> None:
    async with host_of(ScriptedBackend()) as host:
        engine = await connect(host.path)
        assert isinstance(engine, SharedEngine)
        link = engine._link
        host.hide()
        host.cut()
        await until(lambda: link.refusal is not None)
        engines: list[AnyEngine] = [engine]
        del engine
        with pytest.warns(ResourceWarning):
            _forget(engines)
        host.show()
        await until(lambda: not any("mend" in each.name for each in threading.enumerate()))
        await until(lambda: not host.sessions)


class Late:
    """A way to a host that is reached only when somebody says so.

    Attributes:
        begun: somebody goes it.
        go_on: he may arrive.
    """

    def __init__(self, way: Way):
        self.path = way.path
        self.begun, self.go_on = threading.Event(), threading.Event()
        self._way = way

    def join(self, stop: threading.Event, hangs: bool = False) -> joining.Joined:
        """See `Way.join`; it does not look at `stop` any more, as at the very end of the way."""
        self.begun.set()
        assert self.go_on.wait(PATIENCE)
        return self._way.join(threading.Event())


async def test_who_forgets_an_engine_that_has_just_reached_a_host_leaves_nothing() -> None:
    async with host_of(ScriptedBackend()) as host:
        engine = await connect(host.path)
        assert isinstance(engine, SharedEngine)
        link = engine._link
        link._way = way = Late(link._way)
        host.cut()
        await until(way.begun.is_set)
        engines: list[AnyEngine] = [engine]
        del engine
        with pytest.warns(ResourceWarning):
            _forget(engines)
        loop: Any = link._loop
        await until(lambda: loop._closed)
        way.go_on.set()
        await until(lambda: not any("mend" in each.name for each in threading.enumerate()))
        await until(lambda: not host.sessions)


def _forget(engines: list[AnyEngine]) -> None:
    engines.clear()
    gc.collect()
