"""A host that hangs and does not end: its clients find it, end it, and go on with another one."""

import fcntl
import logging
import os
import re
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

from support.helpers import PATIENCE, ended, row, same, submit, until
from tests.host.serving import LIMITS, scripted
from tests.shared.joined import joined
from tests.shared.processes import is_there, sockets
from trtasync import BackendUnavailable, DeviceLost, open_engine
from trtasync.host import beats
from trtasync.host.process import Wanted, _beating_host
from trtasync.loops.base import do_nothing
from trtasync.measure.opened import read_options
from trtasync.runtimes import OpenLane
from trtasync.shared import hanging, starting
from trtasync.shared.client import SharedEngine
from trtasync.shared.hanging import end_hanging, is_readable
from trtasync.shared.pulse import QUESTIONS, Pulse
from trtasync.shared.records import Op, pack
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

ANSWER = [84.0, 92.0, 100.0]
"""Of the model to a row of ones."""


async def test_a_host_answers_who_asks_whether_it_turns() -> None:
    async with scripted() as host:
        client = await host.client()
        client.say(pack(Op.PING), pack(Op.PING))
        assert [record.op for record, _ in await client.hear_all(2)] == [Op.PONG, Op.PONG]


async def test_who_is_not_answered_any_more_takes_the_host_for_lost() -> None:
    async with joined(hang_timeout=0.3) as shared, anyio.create_task_group() as tasks:
        await shared.engine.infer(row(0))
        shared.backend.gate.shut()
        (session,) = shared.host.sessions
        session._connection.hold_up()  # it hears nothing any more, and does not hang up
        caller = await submit(tasks, shared.engine, row(1))
        await ended(caller)
        assert isinstance(caller.error, DeviceLost)
        assert "has not answered for 0.3 s (hang_timeout)" in str(caller.error)
        shared.backend.gate.let()
        await until(lambda: shared.engine.is_alive)
        assert same(await shared.engine.infer(row(2)), row(2))


async def test_a_host_that_answers_may_compute_for_long() -> None:
    async with joined(hang_timeout=1.0) as shared, anyio.create_task_group() as tasks:
        await shared.engine.infer(row(0))
        shared.backend.gate.shut()
        caller = await submit(tasks, shared.engine, row(1))
        session = shared.engine._link.session
        await until(lambda: session.pongs > 2 * QUESTIONS)
        assert not caller.done
        shared.backend.gate.let()
        await ended(caller)
        assert same(caller.answer, row(1))
        assert shared.engine._link.session is session


async def test_a_host_is_asked_only_if_it_may_not_be_silent() -> None:
    async with joined(hang_timeout=0.0) as shared:
        assert shared.engine._link._pulse._loop.due == float("inf")


class Clock:
    """A loop that turns when the test says so.

    Attributes:
        time: of it.
        due: when it wants to be woken.
    """

    def __init__(self) -> None:
        self.time = self.due = 0.0
        self.callback: Callable[[], None] = do_nothing

    def now(self) -> float:
        return self.time

    def wake_at(self, when: float) -> None:
        self.due = when

    def wake(self, at: float) -> None:
        self.time, self.due = at, float("inf")
        self.callback()


class Questions:
    """A session that counts what it is asked."""

    is_open = True

    def __init__(self) -> None:
        self.pings = self.pongs = 0

    def ping(self) -> None:
        self.pings += 1


def test_a_sleep_of_this_process_is_no_silence_of_the_host() -> None:
    clock, asked, silences = Clock(), Questions(), []
    pulse = Pulse(clock, 30.0, lambda: silences.append(clock.time))  # type: ignore[arg-type]  # all that it needs
    pulse.begin(asked)
    for day in range(1, 1 + QUESTIONS):
        clock.wake(at=day * 86_400.0)
        assert clock.due == clock.time + 5  # one question a wake-up, however late
    assert (asked.pings, silences) == (QUESTIONS, [])
    asked.pongs = QUESTIONS  # it was as late as this one
    clock.wake(clock.due)
    assert asked.pings == QUESTIONS + 1
    for _ in range(QUESTIONS):
        clock.wake(clock.due)
    assert silences == [clock.time]
    assert clock.due == float("inf")


@pytest.fixture
def stop(folder: Path) -> Iterator[Callable[[int], int]]:
    """Stops a process, and returns its number. It is ended with the test, should it still be there,
    and so goes what it has left in the folder."""
    stopped: list[int] = []

    def stop(pid: int) -> int:
        os.kill(pid, signal.SIGSTOP)
        stopped.append(pid)
        return pid

    yield stop
    if any(map(is_there, stopped)):
        for pid in stopped:
            os.kill(pid, signal.SIGKILL)
        for left in sockets(folder):
            left.unlink()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_host_that_is_stopped_is_replaced(
    model: Path,
    stop: Callable[[int], int],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(starting, "PATIENCE", 2.0)
    monkeypatch.setattr(hanging, "TELLING", 0.1)  # it cannot
    caplog.set_level(logging.ERROR, "trtasync")
    x = np.ones(8, np.float32)
    async with open_engine(
        model, batching=True, shared=True, linger=0.1, reconnect=PATIENCE, hang_timeout=2.0
    ) as engine:
        assert isinstance(engine, SharedEngine)
        assert (await engine.infer(x)).tolist() == ANSWER
        stopped = stop(engine.host_pid)
        with pytest.raises(DeviceLost, match=f"process {stopped} has not answered"):
            await engine.infer(x)
        assert not engine.is_alive
        assert (await engine.infer(x)).tolist() == ANSWER
        assert engine.host_pid != stopped
        assert not is_there(stopped)
    assert f"(process {stopped}) cannot be reached" in caplog.text
    assert "what that wrote last" in caplog.text


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_who_comes_to_a_host_that_is_stopped_replaces_it(
    model: Path, stop: Callable[[int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever used it has left."""
    monkeypatch.setattr(starting, "PATIENCE", 2.0)
    monkeypatch.setattr(hanging, "TELLING", 0.1)
    options = {"batching": True, "shared": True, "linger": 0.1, "hang_timeout": 2.0}
    engine = await open_engine(model, **options)  # type: ignore[call-overload]  # a dict of them
    stopped = stop(engine.host_pid)
    await engine.aclose()
    async with open_engine(model, **options) as another:  # type: ignore[call-overload]  # a dict
        assert (await another.infer(np.ones(8, np.float32))).tolist() == ANSWER
        assert not is_there(stopped)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_host_that_hangs_before_it_is_ready_is_ended(
    folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text(
        f"#!{sys.executable}\n"
        "import os, time\n"
        "print(flush=True)\n"
        "os.write(2, str(os.getpid()).encode())\n"
        "time.sleep(600)\n"
    )
    python.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(python))
    with (
        anyio.fail_after(PATIENCE),
        pytest.raises(BackendUnavailable, match=r"hung before it was ready: for 2 s") as caught,
    ):
        await open_engine(model, shared=True, hang_timeout=0.2)
    told = re.search(r"tell them: (\d+)", str(caught.value))
    assert told is not None, caught.value
    assert not is_there(int(told[1]))


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_host_says_that_its_loop_turns_while_it_opens_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beats, "INTERVAL", 0.0)  # at every turn
    may_open, is_open = threading.Event(), anyio.Event()

    class Slow(ScriptedBackend):
        def open(
            self, streams: int, max_batch_size: int, batch_sizes: Sequence[int] = ()
        ) -> Sequence[OpenLane]:
            may_open.wait()
            return super().open(streams, max_batch_size, batch_sizes)

    options = read_options(Slow(), {"name": "slow", "batching": True})
    wanted = Wanted([options], str(tmp_path / "host.sock"), LIMITS)
    theirs, ours = os.pipe()
    async with anyio.create_task_group() as hosting:
        try:
            hosting.start_soon(_beating_host, wanted, is_open.set, ours)
            heard = b""
            while len(heard) < 100:
                await anyio.wait_readable(theirs)
                heard += os.read(theirs, 10)
            assert not is_open.is_set()
        finally:
            may_open.set()
        await is_open.wait()
        os.close(theirs)  # as who started it does
        hosting.cancel_scope.cancel()
    assert set(heard) == set(beats.BEAT)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_ends_such_a_host_is_told_as_it_is(tmp_path: Path) -> None:
    """And not as a group of it; what nobody foresaw, too."""
    nonsense: Any = [None]
    theirs, ours = os.pipe()
    try:
        with pytest.raises(AttributeError):
            await _beating_host(Wanted(nonsense, str(tmp_path / "host.sock"), LIMITS), ready, ours)
    finally:
        os.close(theirs)


def ready() -> None:
    """Nobody waits for it."""
    raise AssertionError("it cannot serve")


HANGING = """
import threading
from trtasync.host.daemon import log_to_stderr

def stand_still():
    print("ready", flush=True)
    threading.Event().wait()

log_to_stderr()
stand_still()
"""


def test_who_is_ended_as_it_hangs_tells_where() -> None:
    command = [sys.executable, "-c", HANGING]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        end_hanging(process.pid)
        _, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == -signal.SIGABRT
    assert "in stand_still" in told


@pytest.mark.parametrize("stderr", ["io.StringIO()", "None"])
def test_a_process_whose_stderr_is_no_file_goes_without_stacks(stderr: str) -> None:
    program = f"import io, sys\nsys.stderr = {stderr}{HANGING.partition('def')[0]}"
    subprocess.run(
        [sys.executable, "-c", f"{program}\nlog_to_stderr()"], check=True, timeout=PATIENCE
    )


def test_any_descriptor_can_be_waited_for() -> None:
    """A server has thousands, and starts the process of an engine all the same."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    theirs, ours = os.pipe()
    high = fcntl.fcntl(theirs, fcntl.F_DUPFD_CLOEXEC, 1024)  # `select` knows those below
    try:
        assert not is_readable(high, 0)
        os.write(ours, b"x")
        assert is_readable(high, PATIENCE)
    finally:
        for each in (high, theirs, ours):
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_nobody_ends_who_is_out_of_reach() -> None:
    with pytest.raises(ProcessLookupError, match="another container"):
        end_hanging(0)
