"""Compares batching policies in virtual time: `python -m benchmarks.policies`, some minutes.

The engine's own policy against no batching, fixed delays (the best of a sweep for every load),
eager dispatch, BentoML's adaptive delay, deferred batches and Triton's rule, on the same arrivals.
`docs/policies.md` says what is simulated and how to read the result.
"""

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import RESULTS, write
from benchmarks.simulation.arrivals import NAMES
from benchmarks.simulation.costs import measured
from benchmarks.simulation.plot import draw
from benchmarks.simulation.scenarios import MAIN, SCENARIOS
from benchmarks.simulation.study import POLICIES, Point, on_processes
from benchmarks.simulation.table import tables
from benchmarks.simulation.verdict import summarize
from trtasync.measure.statistics import rounded

LOADS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2)
FEW_LOADS = (0.05, 0.3, 0.6, 0.9, 1.1)
FEW_NAMES = ("poisson", "bursty")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.policies", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few points; no file unless --out")
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/policies.json")
    parser.add_argument("--plot", type=Path, help="default: the same with .png")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=6000, help="per run, about")
    parser.add_argument("--trace", type=Path, help="recorded times of arrival, one per line")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="processes")
    options = parser.parse_args(arguments)
    if options.quick:
        options.seeds, options.requests = 1, 800
    elif options.out is None:
        options.out = RESULTS / "policies.json"
    if options.plot is None and options.out is not None:
        options.plot = options.out.with_suffix(".png")
    return options


def points(options: argparse.Namespace) -> list[Point]:
    """All points: the first machine in full, the others at some loads."""
    found = []
    for machine in [MAIN] if options.quick else SCENARIOS:
        full = machine == MAIN and not options.quick
        found += [
            Point(
                machine=machine,
                process=process,
                load=load,
                seed=seed,
                requests=options.requests,
                trace=options.trace,
            )
            for process in (NAMES if machine == MAIN else FEW_NAMES)
            for load in (LOADS if full else FEW_LOADS)
            for seed in range(options.seeds)
        ]
    return found


def slim(sample: Mapping[str, Any]) -> dict[str, Any]:
    """Without the sweep, of which the file holds the best, and at four digits."""
    cells = {name: rounded(sample["cells"][name], 4) for name in POLICIES}
    return {**sample, "cells": cells}


def take(wanted: Sequence[Point], jobs: int) -> list[dict[str, Any]]:
    """Measure, and report progress."""
    began, taken = time.monotonic(), []
    for sample in on_processes(Point.measure, wanted, jobs):
        taken.append(sample)
        if len(taken) % 20 == 0 or len(taken) == len(wanted):
            passed = time.monotonic() - began
            print(f"{len(taken)} of {len(wanted)} points, {passed:.0f} s", file=sys.stderr)
    return taken


def main(arguments: list[str] | None = None) -> None:
    """Simulate, print, write, draw."""
    options = parse(arguments)
    samples = take(points(options), options.jobs)
    summary = summarize(samples)
    print(tables(summary))
    if options.out is not None:
        parameters = {
            "seeds": options.seeds,
            "requests": options.requests,
            "trace": str(options.trace) if options.trace else None,
            "cost": measured().where,
            "capacity": {name: round(machine.rate) for name, machine in SCENARIOS.items()},
        }
        found = [slim(sample) for sample in samples]
        print(write("policies", parameters, found, summary, options.out))
    if options.plot is not None:
        machine = SCENARIOS[MAIN]
        title = f"{MAIN} ({machine.rate:,.0f}/s); in time: {machine.patience * 1e3:.0f} ms"
        mine = [point for point in summary if point["machine"] == MAIN]
        draw(mine, machine.rate, title, options.plot)
        print(options.plot)


if __name__ == "__main__":
    main()
