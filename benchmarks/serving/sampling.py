"""One server after its start: it has to answer correctly, then it is loaded as fast as possible."""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.load import Sample, foreign_cores, rows, until_closed
from benchmarks.peers.bodies import BODIES
from benchmarks.peers.generator import Order, checked_callers, wait_until_it_answers
from benchmarks.peers.processes import cpu_below, end_all
from benchmarks.peers.reasons import plain, told
from benchmarks.peers.sampling import START_PATIENCE, environment, free_port, start, wait
from benchmarks.report import ROOT
from benchmarks.rounds import NotRun
from benchmarks.serving import grpc_calls, wrk
from benchmarks.serving.catalogue import Calls, Load, Stand

SPARE_SECONDS = 30.0
"""That a generator may take besides its load."""


def measure(stand: Stand, python: Path, seconds: float, warm_up: float) -> dict[str, Sample]:
    """A sample of each load of a server.

    Raises:
        NotRun: it does not start, or gives wrong answers.
    """
    with tempfile.TemporaryDirectory(prefix="serving-", ignore_cleanup_errors=True) as folder:
        try:
            return _measure(stand, python, seconds, warm_up, Path(folder))
        finally:
            end_all()


def _measure(
    stand: Stand, python: Path, seconds: float, warm_up: float, folder: Path
) -> dict[str, Sample]:
    port, grpc_port = free_port(), free_port()
    module, *words = stand.system.server
    words = [word.replace("GRPC_PORT", str(grpc_port)) for word in words]
    command = [str(python), "-m", f"benchmarks.peers.servers.{module}", str(port), *words]
    said = folder / "said"
    start(command, folder, environment(stand.system, python, folder), said, said)
    samples = {}
    for name, load in stand.loads.items():
        if isinstance(load, Calls):
            samples[name] = _called(grpc_port, load, seconds, warm_up, folder)
            continue
        try:
            asyncio.run(_check(port, load))
        except Exception as error:  # whatever it is, it is the reason why this cell has no figures
            last = plain(said.read_text(errors="replace"))
            raise NotRun(f"{plain(told(error))}; it said: {last}") from error
        samples[name] = _asked(port, load, seconds, warm_up, folder)
    return samples


async def _check(port: int, load: Load) -> None:
    """Every connection gets its own answer."""
    order = Order(port, load.body, {}, 0.0, START_PATIENCE, load.columns, load.model)
    await wait_until_it_answers(order)
    async with checked_callers(order, load.connections):
        pass


def _asked(port: int, load: Load, seconds: float, warm_up: float, folder: Path) -> Sample:
    """By wrk."""
    request = folder / "request"
    (row,) = rows(1, columns=load.columns)
    request.write_bytes(BODIES[load.body].request(row))
    wrk.run(port, request, load.connections, load.threads, warm_up)
    served, asking, window = _served(), _asking(), until_closed(_all)
    sample = wrk.run(port, request, load.connections, load.threads, seconds)
    window.close()
    sample["cpu_us"] = (_served() - served) / sample["requests"] * 1e6
    sample["generator_cores"] = (_asking() - asking) / sample["seconds"]
    return sample | foreign_cores(window)


def _served() -> float:
    """CPU seconds of the processes of the server."""
    return cpu_below(os.getpid())


def _asking() -> float:
    """CPU seconds of generators that have ended."""
    used = os.times()
    return used.children_user + used.children_system


def _all() -> float:
    return _served() + _asking()


def _called(port: int, load: Calls, seconds: float, warm_up: float, folder: Path) -> Sample:
    """Over gRPC."""
    order = grpc_calls.Order(port, load.connections, seconds, warm_up, START_PATIENCE)
    command: Sequence[str] = [
        sys.executable,
        "-m",
        "benchmarks.serving.grpc_calls",
        json.dumps(asdict(order)),
    ]
    answer, complaint = folder / "answer", folder / "complaint"
    generator = start(command, ROOT, dict(os.environ), answer, complaint)
    wait([generator], complaint, START_PATIENCE + warm_up + seconds + SPARE_SECONDS)
    sample: Sample = json.loads(answer.read_text())
    return sample
