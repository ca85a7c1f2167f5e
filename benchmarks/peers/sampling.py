"""One sample of one system: fresh processes in a folder of their own, and none left behind."""

import json
import os
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.load import Sample
from benchmarks.peers.catalogue import HTTP, System
from benchmarks.peers.processes import end_all
from benchmarks.peers.reasons import plain
from benchmarks.report import ROOT
from benchmarks.rounds import NotRun
from benchmarks.worker import ONE_THREAD, Plan
from benchmarks.works import work

START_PATIENCE = 60.0
"""Seconds that a server may take to its first right answer."""


class Times(NamedTuple):
    """How long a sample's parts take, in seconds; those of the load by number of callers."""

    seconds: dict[int, float]
    warm_up: float

    @property
    def limit(self) -> float:
        """When a sample is given up; slow systems answer what they hold when the time is up."""
        return START_PATIENCE + sum(self.seconds.values()) + len(self.seconds) * self.warm_up + 45


def measure(system: System, python: Path, times: Times) -> dict[str, Sample]:
    """Samples by number of callers (as text, as in JSON).

    Raises:
        NotRun: it does not start, answers wrongly or does not end.
    """
    with tempfile.TemporaryDirectory(prefix="peers-", ignore_cleanup_errors=True) as folder:
        try:
            sample = _served if system.kind == HTTP else _called
            return sample(system, python, times, Path(folder))
        finally:
            end_all()


def _called(system: System, python: Path, times: Times, folder: Path) -> dict[str, Sample]:
    plan = Plan(system.key, "asyncio", *times)
    command = [str(python), "-m", system.worker, json.dumps(asdict(plan))]
    answer, said = folder / "answer", folder / "said"
    worker = start(command, folder, environment(system, python, folder), answer, said)
    wait([worker], said, times.limit)
    return _found(answer)


def _served(system: System, python: Path, times: Times, folder: Path) -> dict[str, Sample]:
    port = free_port()
    module, *more = system.server
    command = [str(python), "-m", f"benchmarks.peers.servers.{module}", str(port), *more]
    said = folder / "said"
    server = start(command, folder, environment(system, python, folder), said, said)
    asked = work()
    order = {"port": port, "body": system.body, "patience": START_PATIENCE, **times._asdict()}
    order |= {"columns": asked.columns, "model": asked.name}
    command = [sys.executable, "-m", "benchmarks.peers.generator", json.dumps(order)]
    answer, complaint = folder / "answer", folder / "complaint"
    generator = start(command, ROOT, dict(os.environ), answer, complaint)
    try:
        wait([generator, server], complaint, times.limit)
    except NotRun as reason:
        if server.poll() is not None:
            status = f"the server ended with status {server.returncode}"
            raise NotRun(f"{status}: {plain(said.read_text(errors='replace'))}") from reason
        raise
    return _found(answer)


def start(
    command: Sequence[str], folder: Path, environment: dict[str, str], out: Path, said: Path
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, so that Ctrl-C reaches it only through us."""
    with out.open("ab") as stdout, said.open("ab") as stderr:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )


def wait(processes: Sequence[subprocess.Popen[bytes]], said: Path, limit: float) -> None:
    """Wait for the first; none of the others may end before it.

    Raises:
        NotRun: one failed, or the time is up.
    """
    first, *others = processes
    end = time.monotonic() + limit
    while (status := first.poll()) is None:
        if time.monotonic() > end:
            raise NotRun(f"not done in {limit:.0f} s: it hangs or is far too slow")
        if any(other.poll() is not None for other in others):
            raise NotRun("the server ended by itself")
        time.sleep(0.02)
    if status:
        said_last = said.read_text(errors="replace").strip().rpartition("\n")[2]
        raise NotRun(plain(said_last) if said_last else f"ended with status {status}")


def _found(answer: Path) -> dict[str, Sample]:
    """The last line of a worker's output; libraries may have said something before it."""
    found: dict[str, Sample] = json.loads(answer.read_text().splitlines()[-1])
    return found


def free_port() -> int:
    """A port of localhost that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def environment(system: System, python: Path, folder: Path) -> dict[str, str]:
    """A peer's environment: one BLAS thread, this checkout, everything it writes in `folder`."""
    found: dict[str, Any] = {
        **os.environ,
        **ONE_THREAD,
        "PYTHONPATH": ROOT,
        "PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "VIRTUAL_ENV": python.parent.parent,
        "HOME": folder,
        "TMPDIR": folder,
        **dict(system.variables),
    }
    if system.native:
        found["LD_LIBRARY_PATH"] = sysconfig.get_config_var("LIBDIR")
    return {name: str(value) for name, value in found.items()}
