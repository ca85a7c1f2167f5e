"""Workers and hosts as processes of their own."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.helpers import PATIENCE

ROOT = Path(__file__).parents[2]


class Worker:
    """A process of `tests.shared.worker`; its methods block."""

    def __init__(self, model: Path, linger: float, *more: str):
        """Start it; it does nothing yet."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.shared.worker", str(model), str(linger), *more],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def say(self, line: str = "") -> None:
        """Tell it to go on."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self) -> Any:
        """What it says next; None at its end."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def ask(self) -> Any:
        """An answer of the engine."""
        self.say()
        return self.hear()

    def kill(self) -> None:
        """End it at once, if it is still there."""
        self.process.kill()
        with self.process:  # closes its pipes
            pass

    def leave(self) -> Any:
        """Let it close its engine and end; returns the runtimes that it has loaded."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        loaded = self.hear()
        assert self.process.wait(PATIENCE) == 0
        return loaded


@contextmanager
def workers(model: Path, count: int, linger: float = 0.2) -> Iterator[list[Worker]]:
    """So many workers; those that are left are killed at the end."""
    started = [Worker(model, linger) for _ in range(count)]
    try:
        yield started
    finally:
        for worker in started:
            worker.kill()


def exchange(model: Path) -> None:
    """Put another model in its place, which computes the same."""
    model.write_bytes(model.read_bytes() + b"\x12\x01x")  # ModelProto.producer_name


def is_there(pid: int) -> bool:
    """The process runs. One that has ended and that nobody has asked for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # the latter if it ends after the opening
        return False
    return state != "Z"


def sockets(folder: Path) -> list[Path]:
    """Of the hosts that are found there."""
    return list(folder.glob("*.sock"))


def wait_for(condition: Callable[[], bool]) -> None:
    """Block until the condition is true."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
