"""Several concurrent client processes, and the cost to their host."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.load import Sample
from benchmarks.peers.processes import parse
from benchmarks.report import ROOT
from benchmarks.sharing.client import Plan
from benchmarks.worker import ONE_THREAD

Client = subprocess.Popen[str]


def measure(plan: Plan, clients: int) -> Sample:
    """The load of this many processes together.

    Returns:
        `requests_per_second` of all; `cpu_us` of the clients and `host_us` of their host, each per
        request; percentiles: the clients' median.
    """
    with _started(plan, clients) as (running, host):
        before, began = _cpu(host), time.perf_counter()
        for client in running:
            _say(client)
        found = [_told(client) for client in running]
        seconds = time.perf_counter() - began
        used = _cpu(host) - before
    return _together(found, used, seconds, plan)


@contextmanager
def _started(plan: Plan, clients: int) -> Iterator[tuple[list[Client], int | None]]:
    """Clients whose engines are open. They stay until the block ends, and so does the host."""
    running: list[Client] = []
    with ExitStack() as stack:
        for _ in range(clients):
            running.append(stack.enter_context(_start(plan)))
            stack.callback(running[-1].kill)  # nothing happens to one that has ended
        hosts = [_told(client)["host"] for client in running]
        assert len(set(hosts)) == 1, "the clients have different hosts"
        yield running, hosts[0]
        for client in running:
            if client.wait():
                raise RuntimeError(f"{client.args!r} ended with status {client.returncode}")


def _start(plan: Plan) -> Client:
    command = [sys.executable, "-m", "benchmarks.sharing.client", json.dumps(asdict(plan))]
    pipe = subprocess.PIPE
    env = os.environ | ONE_THREAD
    return subprocess.Popen(command, cwd=ROOT, env=env, stdin=pipe, stdout=pipe, text=True)


def _say(client: Client) -> None:
    assert client.stdin is not None
    client.stdin.write("\n")
    client.stdin.flush()


def _told(client: Client) -> Any:
    assert client.stdout is not None
    line = client.stdout.readline()
    if not line:
        raise RuntimeError(f"{client.args!r} ended with status {client.wait()}")
    return json.loads(line)


def _cpu(pid: int | None) -> float:
    """Seconds that a process has used so far."""
    if pid is None:
        return 0.0
    return parse(Path(f"/proc/{pid}/stat").read_text(), os.sysconf("SC_CLK_TCK")).cpu


def _together(found: Sequence[Sample], host: float, seconds: float, plan: Plan) -> Sample:
    answered = sum(each["requests"] for each in found)
    loaded = answered * (plan.seconds + plan.warm_up) / plan.seconds  # the warm-up uses CPU, too
    figures = {
        "requests": answered,
        "seconds": seconds,
        "requests_per_second": sum(each["requests_per_second"] for each in found),
        "cpu_us": sum(each["cpu_us"] * each["requests"] for each in found) / answered,
        "host_us": host / loaded * 1e6,
    }
    return figures | {name: median(each[name] for each in found) for name in ("p50_us", "p99_us")}
