"""A host that has ended is no zombie of who started it; whose child is another's stays so."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from support.helpers import until
from tests.shared.processes import wait_for
from trtasync import open_engine
from trtasync.shared.client import SharedEngine
from trtasync.shared.reaping import Reaper, reaper

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


def exists(pid: int) -> bool:
    """A process that has ended does until it is reaped."""
    return Path(f"/proc/{pid}").exists()


def spawned() -> int:
    """A child that nobody waits for."""
    return os.posix_spawn(sys.executable, SLEEP, os.environ)


@pytest.mark.anyio
async def test_hosts_that_have_ended_are_no_zombies(folder: Path, model: Path) -> None:
    """One that was killed, and one that ended when nobody asked it any more."""
    engine = await open_engine(model, batching=True, shared=True, linger=0.1)
    assert isinstance(engine, SharedEngine)
    first = engine.host_pid
    assert exists(first)
    os.kill(first, signal.SIGKILL)
    await until(lambda: not exists(first))
    await until(lambda: engine.is_alive and engine.host_pid != first)
    second = engine.host_pid
    await engine.aclose()
    assert exists(second)
    await until(lambda: not exists(second))


def test_one_thread_reaps_many_and_ends_with_the_last() -> None:
    reaping = Reaper()
    first, second = spawned(), spawned()
    reaping.adopt(first)
    thread = reaping._thread
    reaping.adopt(second)
    assert thread is not None
    assert reaping._thread is thread
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: not exists(first))
    assert thread.is_alive()
    third = spawned()
    reaping.adopt(third)
    for each in (second, third):
        os.kill(each, signal.SIGKILL)
    thread.join()
    assert not any(map(exists, (first, second, third)))
    assert reaping._thread is None


def test_children_of_others_are_left_to_them() -> None:
    reaping = Reaper()
    with subprocess.Popen(SLEEP) as theirs:
        host = spawned()
        reaping.adopt(host)
        thread = reaping._thread
        assert thread is not None
        theirs.kill()
        os.waitid(os.P_PID, theirs.pid, os.WEXITED | os.WNOWAIT)  # it has ended
        os.kill(host, signal.SIGKILL)
        thread.join()
        assert not exists(host)
        assert exists(theirs.pid)
        assert theirs.wait() == -signal.SIGKILL


def test_who_has_been_reaped_by_somebody_else_is_forgotten() -> None:
    reaping = Reaper()
    host = spawned()
    reaping.adopt(host)
    thread = reaping._thread
    assert thread is not None
    os.kill(host, signal.SIGKILL)
    with suppress(ChildProcessError):  # the reaper was faster
        os.waitpid(host, 0)
    thread.join()
    assert (reaping._children, reaping._thread) == (set(), None)


def test_a_child_that_is_gone_already_is_left_alone() -> None:
    reaping = Reaper()
    host = spawned()
    os.kill(host, signal.SIGKILL)
    os.waitpid(host, 0)
    reaping.adopt(host)
    assert reaping._thread is None


def test_who_has_ended_is_forgotten_where_another_process_has_inherited_the_descriptor() -> None:
    """As every forked one does: closing it here does not unregister it then."""
    reaping = Reaper()
    first, second = spawned(), spawned()
    reaping.adopt(first)
    with subprocess.Popen(SLEEP, pass_fds=tuple(reaping._children)) as heir:
        reaping.adopt(second)
        thread = reaping._thread
        assert thread is not None
        try:
            os.kill(first, signal.SIGKILL)
            wait_for(lambda: not exists(first))
            os.kill(second, signal.SIGKILL)
            thread.join()
            assert not exists(second)
        finally:
            heir.kill()


def test_a_forked_child_has_a_reaper_of_its_own() -> None:
    before = reaper()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, b"own" if reaper() is not before else b"old")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 3) == b"own"
    assert reaper() is before
    for each in (read, write):
        os.close(each)
