"""A tree of processes: its CPU time, and its end. Linux only (`/proc`, child subreapers)."""

import ctypes
import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
PR_SET_CHILD_SUBREAPER = 36


class Process(NamedTuple):
    """The content of `/proc/<pid>/stat`."""

    pid: int
    parent: int
    state: str
    cpu: float
    """Seconds, those of ended and awaited children included."""


def parse(stat: str, ticks: int) -> Process:
    """One `stat` line; the command in it may hold blanks and parentheses."""
    pid = int(stat.split(maxsplit=1)[0])
    fields = stat.rpartition(")")[2].split()
    return Process(pid, int(fields[1]), fields[0], sum(map(int, fields[11:15])) / ticks)


def processes(proc: Path = PROC) -> dict[int, Process]:
    """All processes of the machine."""
    ticks = os.sysconf("SC_CLK_TCK")
    found = {}
    for entry in proc.iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it has just ended
                process = parse((entry / "stat").read_text(), ticks)
                found[process.pid] = process
    return found


def below(root: int, table: dict[int, Process], without: Iterable[int] = ()) -> list[Process]:
    """All descendants of `root`, except the trees rooted at `without`."""
    children: dict[int, list[Process]] = {}
    for process in table.values():
        children.setdefault(process.parent, []).append(process)
    expired = set(without)
    found: list[Process] = []
    waiting = [root]
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child.pid not in expired:
                found.append(child)
                waiting.append(child.pid)
    return found


def cpu_below(root: int, without: Iterable[int] = ()) -> float:
    """CPU seconds of all descendants of `root`, without the trees given."""
    return sum(process.cpu for process in below(root, processes(), without))


def adopt_orphans() -> None:
    """Make this process the parent of descendants whose own parent ends, so that none is lost.

    Raises:
        OSError: the kernel refused.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def end_all(patience: float = 3.0) -> int:
    """End every descendant of this process, gently first; returns how many had to be killed."""
    me = os.getpid()
    killed: set[int] = set()
    _signal(below(me, processes()), signal.SIGTERM)
    began = time.monotonic()
    while left := _living(me):
        if time.monotonic() - began > patience:
            _signal(left, signal.SIGKILL)
            killed.update(process.pid for process in left)
        if time.monotonic() - began > patience + 10:
            raise RuntimeError(f"{len(left)} processes do not end")
        time.sleep(0.02)
    return len(killed)


def _living(root: int) -> list[Process]:
    """Descendants that have not ended; those that have are reaped, which Popen tolerates."""
    found = below(root, processes())
    for process in found:
        if process.state == "Z" and process.parent == root:
            with suppress(ChildProcessError):
                os.waitpid(process.pid, os.WNOHANG)
    return [process for process in found if process.state != "Z"]


def _signal(whom: Iterable[Process], number: int) -> None:
    for process in whom:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)
