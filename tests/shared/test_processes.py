"""One engine for many processes: who starts it, who joins it, and what a kill leaves."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import anyio
import numpy as np
import pytest

from support.helpers import ended, same, submit, until
from tests.shared.processes import ROOT, exchange, is_there, sockets, wait_for, workers
from trtasync import DeviceLost, InvalidInput, PlanError, TrtasyncError, open_engine
from trtasync.shared.client import SharedEngine
from trtasync.shared.figures import ask
from trtasync.shared.records import SIZE
from trtasync.testing import ScriptedBackend

ROW = np.ones(8, np.float32)
ANSWER = (ROW @ np.arange(24, dtype=np.float32).reshape(8, 3)).tolist()


def test_processes_that_come_at_once_share_one_engine(folder: Path, model: Path) -> None:
    with workers(model, 4) as running:
        for worker in running:
            worker.say()
        told = [worker.hear() for worker in running]
        assert all(told == told[:1] * 4 for _ in told)
        host = told[0]["host"]
        assert host not in {worker.process.pid for worker in running}
        assert [worker.ask() for worker in running] == [ANSWER] * 4
        (path,) = sockets(folder)
        found = ask(path)
        assert {client["pid"] for client in found["clients"]} >= {
            worker.process.pid for worker in running
        }
        assert sum(each["requests"] for each in found["models"].values()) == 4
        assert [worker.leave() for worker in running] == [[]] * 4  # they load no runtime
    wait_for(lambda: not is_there(host))


def test_who_comes_while_it_lingers_finds_it(folder: Path, model: Path) -> None:
    hosts = []
    for _ in range(2):
        with workers(model, 1, linger=600) as (worker,):
            worker.say()
            hosts.append(worker.hear()["host"])
            worker.leave()
    assert hosts[0] == hosts[1]
    os.kill(hosts[0], signal.SIGTERM)
    with workers(model, 1) as (worker,):
        wait_for(lambda: not is_there(hosts[0]))
        worker.say()
        assert worker.hear()["host"] != hosts[0]
        assert worker.ask() == ANSWER


def test_who_was_killed_while_it_started_a_host_leaves_it_to_the_next(
    folder: Path, model: Path
) -> None:
    with workers(model, 2) as (killed, left):
        killed.say()
        wait_for(lambda: bool(_children(killed.process.pid)))
        (host,) = _children(killed.process.pid)
        # it knows what it is to be
        wait_for(lambda: "onnxruntime" in Path(f"/proc/{host}/maps").read_text())
        os.kill(host, signal.SIGSTOP)
        killed.kill()
        left.say()
        (lock,) = folder.glob("*.lock")
        wait_for(lambda: _has_open(left.process.pid, lock))
        os.kill(host, signal.SIGCONT)
        assert left.hear() == {"host": host}
        assert left.ask() == ANSWER
    wait_for(lambda: not is_there(host))


def _children(pid: int) -> set[int]:
    found = set[int]()
    for each in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError):  # a thread that has just ended
            found |= {int(child) for child in each.read_text().split()}
    return found


def _has_open(pid: int, path: Path) -> bool:
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it has just been closed
            if os.path.samefile(each, path):
                return True
    return False


def test_nobody_notices_that_another_client_was_killed(folder: Path, model: Path) -> None:
    with workers(model, 3) as (killed, starved, left):
        for worker in (killed, starved, left):
            worker.say()
            worker.hear()
        (path,) = sockets(folder)
        for worker in (killed, starved):
            worker.say("load")
            assert worker.hear() == "loading"
        killed.process.kill()
        killed.process.wait()
        starved.process.send_signal(signal.SIGSTOP)
        for _ in range(50):
            assert left.ask() == ANSWER
        starved.process.kill()
        starved.process.wait()
        wait_for(lambda: [each["pid"] for each in _clients(path)] == [left.process.pid])
        assert left.ask() == ANSWER


@pytest.mark.parametrize("sign", ["*.log", "*.sock"])
def test_who_is_killed_while_it_starts_a_host_leaves_nobody_without(
    folder: Path, model: Path, sign: str
) -> None:
    with workers(model, 2) as (killed, other):
        killed.say()
        wait_for(lambda: bool(list(folder.glob(sign))))
        killed.process.kill()
        other.say()
        host = other.hear()["host"]
        assert other.ask() == ANSWER
        assert is_there(host)
        assert other.leave() == []
    wait_for(lambda: not is_there(host))


def _clients(path: Path) -> list[dict[str, int]]:
    """Of a host, but for who asks."""
    return [each for each in ask(path)["clients"] if each["pid"] != os.getpid()]


@pytest.mark.anyio
async def test_a_host_that_was_killed_is_started_anew(folder: Path, model: Path) -> None:
    opening = open_engine(model, batching=True, shared=True, linger=0.2, reconnect=60)
    async with opening as engine, anyio.create_task_group() as tasks:
        assert isinstance(engine, SharedEngine)
        assert (await engine.infer(ROW)).tolist() == ANSWER
        first = engine.host_pid
        os.kill(first, signal.SIGSTOP)
        callers = [await submit(tasks, engine, ROW) for _ in range(20)]
        os.kill(first, signal.SIGKILL)
        await ended(*callers)
        assert all(isinstance(caller.error, DeviceLost) for caller in callers)
        assert (await engine.infer(ROW)).tolist() == ANSWER
        assert engine.host_pid != first
        assert is_there(engine.host_pid)


@pytest.mark.anyio
async def test_a_host_is_not_started_anew_with_another_model(folder: Path, model: Path) -> None:
    opening = open_engine(model, batching=True, shared=True, linger=0.2)
    content = await anyio.Path(model).read_bytes()
    async with opening as engine:
        assert isinstance(engine, SharedEngine)
        exchange(model)
        assert (await engine.infer(ROW)).tolist() == ANSWER  # that was read long ago
        os.kill(engine.host_pid, signal.SIGKILL)
        await until(lambda: "has changed since" in repr(_refusal(engine)))
        await anyio.Path(model).write_bytes(content)
        await until(lambda: _refusal(engine) is None)
        assert (await engine.infer(ROW)).tolist() == ANSWER


def _refusal(engine: SharedEngine) -> TrtasyncError | None:
    refusal = engine._link.refusal
    return None if refusal is None else refusal()


@pytest.mark.anyio
async def test_bytes_are_a_model_too(folder: Path, model: Path) -> None:
    content = await anyio.Path(model).read_bytes()
    async with open_engine(content, batching=True, shared=True, linger=0.2) as engine:
        assert (await engine.infer(ROW)).tolist() == ANSWER


@pytest.mark.anyio
async def test_who_started_it_sees_what_it_logs(
    folder: Path, model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_engine(model, batching=True, shared=True, linger=0.2):
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(str(*sockets(folder)))
            stranger.send(b"\xff" * SIZE)
            await until(lambda: any("sent away" in each.message for each in caplog.records))
    assert {each.name for each in caplog.records} == {"trtasync.host"}


@pytest.mark.anyio
async def test_why_it_cannot_be_opened_is_told_as_in_this_process(folder: Path) -> None:
    broken = folder / "broken.onnx"
    broken.write_bytes(b"no model")
    errors = []
    for opening in (open_engine(broken), open_engine(broken, shared=True)):
        with pytest.raises(PlanError) as caught:
            await opening
        errors.append(caught.value)
    assert str(errors[0]) == str(errors[1])


@pytest.mark.anyio
async def test_a_model_of_this_process_cannot_be_shared(folder: Path) -> None:
    with pytest.raises(InvalidInput, match="leave shared=True out"):
        await open_engine(ScriptedBackend(), shared=True)
    with pytest.raises(PlanError, match="cannot be read"):
        await open_engine(folder / "nowhere.onnx", shared=True)
    assert not sockets(folder)


@pytest.mark.anyio
async def test_who_stops_waiting_for_a_start_ends_it(folder: Path, model: Path) -> None:
    others = _children(os.getpid())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(open_engine(model, batching=True, shared=True).__aenter__)
        await until(lambda: bool(_children(os.getpid()) - others))
        (host,) = _children(os.getpid()) - others
        tasks.cancel_scope.cancel()
    await until(lambda: not is_there(host))
    assert not sockets(folder)
    async with open_engine(model, batching=True, shared=True, linger=0.2) as engine:
        assert (await engine.infer(ROW)).tolist() == ANSWER


FORK = """
import asyncio, os, sys
import numpy as np
import trtasync

async def main():
    x = np.ones(8, np.float32)
    async with trtasync.open_engine(sys.argv[1], batching=True, shared=True, linger=0.2) as engine:
        await engine.infer(x)
        array = engine.empty_input()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                await engine.infer(x)
            except trtasync.WrongLoop as error:
                status = 7 if error.where == "process" else 2
            os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        array[...] = 1
        assert (await engine.infer(array)).tolist() == (await engine.infer(x)).tolist()

asyncio.run(main())
"""


def test_a_fork_is_told_so_and_its_parent_goes_on(folder: Path, model: Path) -> None:
    subprocess.run([sys.executable, "-c", FORK, str(model)], cwd=ROOT, check=True, timeout=120)


@pytest.mark.anyio
async def test_other_options_are_another_engine(folder: Path, model: Path) -> None:
    content = await anyio.Path(model).read_bytes()
    async with (
        open_engine(model, batching=True, shared=True, linger=0.2) as one,
        open_engine(model, batching=True, max_batch_size=2, shared=True, linger=0.2) as other,
        open_engine(content, batching=True, shared=True, linger=0.2) as same_as_one,
    ):
        assert isinstance(one, SharedEngine)
        assert isinstance(other, SharedEngine)
        assert isinstance(same_as_one, SharedEngine)
        assert one.host_pid == same_as_one.host_pid != other.host_pid
        assert same(await one.infer(ROW), await other.infer(ROW))
