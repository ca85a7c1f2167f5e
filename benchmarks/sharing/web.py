"""FastAPI with several workers and one shared engine, compared with an engine in each worker.

`python -m benchmarks.sharing.web` takes about seven minutes on a machine of 16 cores, `--quick` a
minute. Linux only. One process asks over 64 connections, 12 KB rows in binary; where it uses a core
itself (`generator_cores`), it is what limits.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from benchmarks.load import Sample
from benchmarks.peers.generator import Order
from benchmarks.peers.processes import PROC, adopt_orphans, below, end_all, processes
from benchmarks.peers.reasons import plain
from benchmarks.report import ROOT, cell_name
from benchmarks.rounds import NotRun, command, finish, tabled, take
from benchmarks.sharing.models import product
from benchmarks.table import Ratio
from benchmarks.worker import ONE_THREAD
from trtasync.shared.places import VARIABLE

CALLERS = 64
WORKERS = (1, 2, 4, 8)
KINDS = {"own": "0", "shared": "1"}
PATIENCE = 60.0
"""Seconds for all workers to be ready."""


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = command("sharing.web", __doc__, rounds=5, seconds=2.0, warm_up=1.0)
    parser.add_argument("--workers", type=int, nargs="+", default=WORKERS)
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.seconds, options.warm_up, options.no_write = 1, 0.5, 0.3, True
    return options


def measure(cell: str, model: Path, options: argparse.Namespace) -> dict[str, Sample]:
    """A sample per number of callers; `cpu_us` is that of workers and engine's process, `pss_mib`
    the memory of all of them after the load.

    Raises:
        NotRun: a worker did not get ready, or a request was not answered rightly.
    """
    kind, workers = cell.split("/")
    with (
        tempfile.TemporaryDirectory(prefix="web-") as folder,
        socket.create_server(("127.0.0.1", 0)) as free,
    ):
        port = free.getsockname()[1]
        free.close()
        environment = {"MODEL": str(model), "SHARED": KINDS[kind], "FOLDER": folder}
        try:
            _serve(port, int(workers), {**environment, VARIABLE: folder})
            _await_workers(Path(folder), int(workers))
            samples = _ask(port, options)
            return {each: {**found, "pss_mib": _memory()} for each, found in samples.items()}
        finally:
            end_all()


def _serve(port: int, workers: int, environment: dict[str, str]) -> None:
    arguments = ["--workers", str(workers), "--port", str(port), "--loop", "uvloop"]
    arguments += ["--http", "httptools", "--no-access-log", "--log-level", "warning"]
    subprocess.Popen(
        [sys.executable, "-m", "uvicorn", *arguments, "benchmarks.sharing.web_app:app"],
        cwd=ROOT,
        env={**os.environ, **ONE_THREAD, **environment},
    )


def _await_workers(folder: Path, count: int) -> None:
    """Wait for all workers: earlier connections would all go to those already listening."""
    end = time.monotonic() + PATIENCE
    while sum(each.name.isdecimal() for each in folder.iterdir()) < count:
        if time.monotonic() > end:
            raise NotRun(f"{count} workers were not ready in {PATIENCE:.0f} s")
        time.sleep(0.05)


def _ask(port: int, options: argparse.Namespace) -> dict[str, Sample]:
    order = Order(port, "raw", {CALLERS: options.seconds}, options.warm_up, PATIENCE)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.peers.generator", json.dumps(asdict(order))],
        cwd=ROOT,
        env=os.environ | ONE_THREAD,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise NotRun(plain(done.stderr))
    samples: dict[str, Sample] = json.loads(done.stdout)
    return samples


def _memory() -> float:
    """MiB of all descendants of this process; shared memory is counted once."""
    found = 0
    for each in below(os.getpid(), processes()):
        with suppress(OSError):  # it has just ended
            for line in (PROC / str(each.pid) / "smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    found += int(line.split()[1])
    return found / 1024


def wanted_ratios(options: argparse.Namespace) -> list[Ratio]:
    """The shared engine over one in each worker, of the same round."""
    return [
        Ratio(cell_name("shared", str(n)), cell_name("own", str(n)), figure, str(CALLERS))
        for n in options.workers
        for figure in ("requests_per_second", "cpu_us", "p50_us", "p99_us", "pss_mib")
    ]


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    options = parse(arguments)
    cells = [cell_name(kind, str(workers)) for workers in options.workers for kind in KINDS]
    adopt_orphans()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of all `finally`
    with tempfile.TemporaryDirectory() as folder:
        model = product(Path(folder))
        taken, left_out = take(cells, options.rounds, lambda cell: measure(cell, model, options))
    parameters = {
        "workers": list(options.workers),
        "callers": CALLERS,
        "loop": "uvloop",
        "server": "uvicorn",
    }
    ratios = [] if left_out else wanted_ratios(options)
    finish("sharing_web", tabled(taken), ratios, options, parameters, {"not_run": left_out})


if __name__ == "__main__":
    main()
