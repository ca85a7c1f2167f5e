"""An engine that processes share, on a GPU: what workers have of it, and what they survive."""

import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

import anyio
import numpy as np
import pytest

from support.gpu.kernels import POISON
from support.helpers import until
from tests.gpu.asking import COLUMNS
from trtasync import AnyEngine, DeviceLost, EngineRestarting, connect
from trtasync.shared import link
from trtasync.shared.client import SharedEngine
from trtasync.shared.figures import ask

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.anyio,
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("gpu"),
]

ROOT = Path(__file__).parents[2]
KILLS = 50
HOST_EVERY = 10

Child = subprocess.Popen[str]


@pytest.fixture
def socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a host listens; clients look for it often."""
    monkeypatch.setattr(link, "LONGEST_DELAY", 0.2)
    return tmp_path / "folder" / "host.sock"


@contextmanager
def child(module: str, socket: Path, word: str) -> Iterator[Child]:
    """A process that has said its word; killed at the end of the block."""
    command = [sys.executable, "-m", f"tests.gpu.{module}", str(socket)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == word
            yield process
        finally:
            process.kill()


def host(socket: Path) -> AbstractContextManager[Child]:
    """A host."""
    return child("hosting", socket, "ready")


def worker(socket: Path) -> AbstractContextManager[Child]:
    """A worker under load."""
    return child("asking", socket, '"asking"')


def leave(process: Child) -> list[str]:
    """Let a worker end; what it has of CUDA."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    told: list[str] = json.loads(process.stdout.readline())
    assert process.wait(20) == 0
    return told


async def is_right(engine: AnyEngine, value: int) -> bool:
    """Ask once."""
    x = engine.empty_input()
    x[...] = value
    return bool(((await engine.infer(x)) == value + 1).all())


def test_workers_have_nothing_of_the_gpu(socket: Path) -> None:
    with host(socket) as serving, worker(socket) as first, worker(socket) as second:
        assert leave(first) == []
        assert leave(second) == []
        maps = Path(f"/proc/{serving.pid}/maps").read_text()
        assert "libcuda" in maps, "the host has it"


async def test_a_kernel_that_faults_ends_the_host_and_no_worker(socket: Path) -> None:
    """Every stream finds out by itself that the device is gone: the host ends at the last one."""
    with host(socket) as first:
        async with connect(socket) as engine:
            assert await is_right(engine, 1)
            with pytest.raises(DeviceLost):
                await engine.infer(np.full(COLUMNS, POISON, np.int32))
            with anyio.fail_after(60), pytest.raises(EngineRestarting):
                await ask_without_end(engine)
            assert first.wait(20) != 0
            with host(socket) as second:
                with anyio.fail_after(60):
                    await right_at_last(engine, 2)
                assert isinstance(engine, SharedEngine)
                assert engine.host_pid == second.pid


class Kept:
    """A child that another one takes the place of when it is killed."""

    def __init__(self, open_one: Callable[[], AbstractContextManager[Child]], stack: ExitStack):
        """Start it. `stack` kills the last one at the end."""
        self._open_one = open_one
        self._stack = stack.enter_context(ExitStack())
        self.process = self._stack.enter_context(open_one())

    def kill(self) -> None:
        """Kill it, and start another one."""
        assert self.process.poll() is None, "it has ended by itself"
        self._stack.close()
        self.process = self._stack.enter_context(self._open_one())


async def test_whoever_is_killed_the_others_get_right_answers(socket: Path) -> None:
    """The host, too, at random moments under load."""
    chance = random.Random(5)
    with ExitStack() as stack:
        serving = Kept(lambda: host(socket), stack)
        workers = [Kept(lambda: worker(socket), stack) for _ in range(3)]
        async with connect(socket, reconnect=60) as engine:
            for kill in range(KILLS):
                await anyio.sleep(chance.uniform(0, 0.2))
                last = kill % HOST_EVERY == HOST_EVERY - 1
                (serving if last else chance.choice(workers)).kill()
                with anyio.fail_after(60):
                    await right_at_last(engine, kill)
            for each in workers:
                assert leave(each.process) == []
            await until(lambda: len(ask(socket)["clients"]) <= 2)
            await until(lambda: maps_of(serving.process.pid) <= 2)
            (model,) = ask(socket)["models"].values()
            assert model["queued"] == model["in_flight"] == 0


async def ask_without_end(engine: AnyEngine) -> None:
    """Until the host is gone."""
    while True:
        with suppress(DeviceLost):
            await engine.infer(np.zeros(COLUMNS, np.int32))


async def right_at_last(engine: AnyEngine, value: int) -> None:
    """Ask until there is an answer, which is right."""
    while True:
        with suppress(DeviceLost, EngineRestarting):
            assert await is_right(engine, value)
            return
        await anyio.sleep(0.01)  # it is refused at once while there is no host


def maps_of(pid: int) -> int:
    """How often a process has memory of clients mapped."""
    return Path(f"/proc/{pid}/maps").read_text().count("memfd:trtasync")
