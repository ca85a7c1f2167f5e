"""Workers and hosts are killed at random moments, under load: `python -m tests.shared.kills 1000`.

Every answer is checked by who asked. Prints what was killed, and how long a host took to be back.
With a second number hosts are killed so seldom (of so many kills one), with 0 never: then what the
host has of memory at the end is printed beside what it had at the beginning.
"""

import os
import random
import signal
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import numpy as np

from tests.host.processes import product
from tests.shared.processes import Worker, is_there, sockets, wait_for
from tests.shared.worker import hurry, opening
from trtasync import DeviceLost
from trtasync.shared.client import SharedEngine
from trtasync.shared.figures import ask
from trtasync.shared.places import VARIABLE

WORKERS = 3
HOST_EVERY = 5

MOMENT = 0.5
"""Seconds at most between two kills."""


@dataclass
class Storm:
    """What has happened.

    Attributes:
        cold: seconds of the first start of a host.
        back: seconds from each kill of a host to the next answer.
        hosts: all that there were.
        workers_killed: how many.
        memory: MiB and maps of clients' memory that the present host had, kill by kill.
    """

    cold: float = 0.0
    back: list[float] = field(default_factory=list)
    hosts: set[int] = field(default_factory=set)
    workers_killed: int = 0
    memory: list[tuple[float, int]] = field(default_factory=list)

    def __str__(self) -> str:
        median, worst = statistics.median(self.back or [0.0]), max(self.back, default=0.0)
        half = self.memory[: len(self.memory) // 2]
        return (
            f"killed: {self.workers_killed} workers, {len(self.back)} hosts. The first start took "
            f"{self.cold:.2f} s; after a kill the next answer came in {median:.2f} s (median), "
            f"{worst:.2f} s (worst). The last host took {_most(half)} "
            f"at most in the first half of its time, and {_most(self.memory)} in all."
        )


def _most(memory: list[tuple[float, int]]) -> str:
    if not memory:
        return "nothing"
    return f"{max(size for size, _ in memory):.0f} MiB and {max(maps for _, maps in memory)} maps"


def memory_of(pid: int) -> tuple[float, int]:
    """MiB that a process has of its own, and maps of memory that others share with it."""
    status = Path(f"/proc/{pid}/status").read_text()
    own = int(status.partition("RssAnon:")[2].split()[0]) / 1024
    return own, Path(f"/proc/{pid}/maps").read_text().count("memfd:trtasync")


async def storm(kills: int, folder: Path, host_every: int = HOST_EVERY, seed: int = 0) -> Storm:
    """Kill, and look at what is left.

    Args:
        kills: how many.
        folder: of hosts.
        host_every: of so many kills one is of the host; 0 for none.
        seed: of chance.
    """
    chance, done, model = random.Random(seed), Storm(), product(folder)
    began = time.perf_counter()
    async with opening(model, 0.2) as engine:
        assert isinstance(engine, SharedEngine)
        await check(engine)
        done.cold = time.perf_counter() - began
        working = [start(model) for _ in range(WORKERS)]
        try:
            for kill in range(kills):
                await anyio.sleep(chance.uniform(0, MOMENT))
                done.hosts.add(engine.host_pid)
                if host_every and kill % host_every == host_every - 1:
                    await kill_host(engine, done)
                    done.memory.clear()
                else:
                    kill_worker(working, chance.randrange(WORKERS), model)
                    done.workers_killed += 1
                    done.memory.append(memory_of(engine.host_pid))
            done.hosts.add(engine.host_pid)
            for worker in working:
                assert isinstance(worker.hear()["host"], int)
                assert worker.hear() == "loading"
                assert worker.leave() == [], "a worker has loaded a runtime"
            (path,) = sockets(folder)
            await anyio.to_thread.run_sync(wait_for, lambda: len(ask(path)["clients"]) <= 2)
        finally:
            for worker in working:
                worker.kill()
    await anyio.to_thread.run_sync(wait_for, lambda: not any(map(is_there, done.hosts)))
    assert not sockets(folder)
    return done


async def check(engine: SharedEngine) -> None:
    """Ask once."""
    x = np.ones(8, np.float32)
    assert (await engine.infer(x)).tolist() == [84.0, 92.0, 100.0]


def start(model: Path) -> Worker:
    """A worker under load."""
    worker = Worker(model, 0.2, "hurry")
    worker.say()
    worker.say("load")
    return worker


def kill_worker(working: list[Worker], index: int, model: Path) -> None:
    """Kill one, and put another in its place."""
    assert working[index].process.poll() is None, "a worker has ended by itself: see above"
    working[index].kill()
    working[index] = start(model)


async def kill_host(engine: SharedEngine, done: Storm) -> None:
    """Kill it, and wait for an answer of the next one."""
    began = time.perf_counter()
    os.kill(engine.host_pid, signal.SIGKILL)
    with suppress(DeviceLost):  # of the request that meets the end
        while True:
            await check(engine)
    await check(engine)
    done.back.append(time.perf_counter() - began)


def main(kills: str = "1000", host_every: str = str(HOST_EVERY)) -> None:
    """As many as are wanted."""
    hurry()
    with tempfile.TemporaryDirectory(prefix="trtasync-") as folder:
        os.environ[VARIABLE] = folder
        done = anyio.run(storm, int(kills), Path(folder), int(host_every))
    sys.stdout.write(f"{done}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
