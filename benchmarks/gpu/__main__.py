"""All GPU benchmarks, each part in a process of its own: `python -m benchmarks.gpu`, 12 minutes."""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.gpu.results import ROUNDS, SECONDS
from benchmarks.report import ROOT
from support.gpu.hardware import gpus

GPUS = {
    "tiny": 1,
    "memory": 1,
    "busy": 1,
    "resnet": 1,
    "zero_copy": 1,
    "streams": 1,
    "arrivals": 1,
    "lead": 1,
    "bert": 1,
    "two_gpus": 2,
}
"""Part -> GPUs that it takes."""
PARTS = tuple(GPUS)
PATIENCE = 420
"""Seconds for one part."""


def default_parts(count: int) -> list[str]:
    """The parts for which this many GPUs suffice; on a machine without one, each part says so."""
    return [part for part, wanted in GPUS.items() if wanted <= max(1, count)]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.gpu", description=__doc__)
    parser.add_argument(
        "--only", help="parts, separated by commas; all that this machine has GPUs for by default"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="per sample, about")
    parser.add_argument("--out", type=Path, default=None, help="a folder for copies of the results")
    options = parser.parse_args(arguments)
    options.parts = default_parts(gpus()) if options.only is None else options.only.split(",")
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    return options


def run(part: str, options: argparse.Namespace) -> bool:
    """Run a part; False if it failed, which does not affect the others."""
    command = [sys.executable, "-m", f"benchmarks.gpu.{part}"]
    command += ["--rounds", str(options.rounds), "--seconds", str(options.seconds)]
    if options.out is not None:
        command += ["--out", str(options.out.resolve())]
    print(f"== {part}", flush=True)
    began = time.monotonic()
    try:
        status = subprocess.run(command, cwd=ROOT, timeout=PATIENCE, check=False).returncode
    except subprocess.TimeoutExpired:
        status = -1
    print(f"== {part}: status {status}, {time.monotonic() - began:.0f} s\n", flush=True)
    return status == 0


def main(arguments: list[str] | None = None) -> int:
    """Run all requested parts; 1 if one failed."""
    options = parse(arguments)
    passed = [run(part, options) for part in options.parts]
    return int(not all(passed))


if __name__ == "__main__":
    sys.exit(main())
