"""wrk, the load generator for the servers: Debian has a package of it."""

import json
import math
import os
import shutil
import subprocess
from pathlib import Path

from benchmarks.load import Sample
from benchmarks.peers.reasons import plain
from benchmarks.rounds import NotRun

SCRIPT = Path(__file__).with_name("request.lua")


def find() -> str:
    """Where it is.

    Raises:
        NotRun: nowhere.
    """
    found = shutil.which("wrk")
    if found is None:
        raise NotRun("wrk is not on the path; Debian and Ubuntu have it: apt-get install wrk")
    return found


def version() -> str:
    """Its version."""
    said = subprocess.run([find(), "-v"], capture_output=True, text=True)  # its status is 1
    return said.stdout.partition("[")[0].split()[1]


def run(port: int, request: Path, connections: int, threads: int, seconds: float) -> Sample:
    """Load a server on this machine from all connections without pause.

    Args:
        port: where it listens.
        request: a file with the bytes of one request, including its head.
        connections: one request at a time on each.
        threads: wrk's threads.
        seconds: rounded up to whole ones.

    Returns:
        `requests`, `seconds`, `requests_per_second`, `p50_us` and `p99_us`.

    Raises:
        NotRun: a request failed, or none was answered.
    """
    load = [f"-t{threads}", f"-c{connections}", f"-d{math.ceil(seconds)}s", "--timeout", "10s"]
    command = [find(), *load, "-s", str(SCRIPT), f"http://127.0.0.1:{port}"]
    variables = os.environ | {"REQUEST": str(request)}
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    if done.returncode:
        raise NotRun(f"wrk failed: {plain(done.stderr or done.stdout)}")
    return read(done.stdout)


def read(said: str) -> Sample:
    """Parse the script's last line.

    Raises:
        NotRun: a request failed, or none was answered.
    """
    sample: Sample = json.loads(said.splitlines()[-1])
    if failed := sample.pop("failed"):
        raise NotRun(f"{failed:.0f} of {sample['requests']:.0f} requests failed")
    if not sample["requests"]:
        raise NotRun("no request was answered")
    sample["requests_per_second"] = sample["requests"] / sample["seconds"]
    return sample
