"""Switches off each rule of the policy in turn, in virtual time: `python -m benchmarks.ablation`.

Four machines, two arrival processes, six loads. `docs/policies.md` says how to read the result.
"""

import argparse
import os
from pathlib import Path

from benchmarks.report import write
from benchmarks.simulation.ablation import RULES, TIGHT, measure, summarize, table
from benchmarks.simulation.costs import measured
from benchmarks.simulation.scenarios import SCENARIOS
from benchmarks.simulation.study import Point, on_processes

MACHINES = tuple(SCENARIOS)[:3] + tuple(SCENARIOS)[4:5]
PROCESSES = ("poisson", "bursty")
LOADS = (0.1, 0.3, 0.5, 0.7, 0.9, 1.1)


def main(arguments: list[str] | None = None) -> None:
    """Simulate, print, write."""
    parser = argparse.ArgumentParser(prog="benchmarks.ablation", description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=6000, help="per run, about")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="processes")
    options = parser.parse_args(arguments)
    wanted = [
        Point(machine=machine, process=process, load=load, seed=seed, requests=options.requests)
        for machine in MACHINES
        for process in PROCESSES
        for load in LOADS
        for seed in range(options.seeds)
    ]
    samples = list(on_processes(measure, wanted, options.jobs))
    summary = summarize(samples)
    print(table(summary))
    parameters = {
        "seeds": options.seeds,
        "requests": options.requests,
        "cost": measured().where,
        "rules": list(RULES),
        "tight deadline, full batches": TIGHT,
    }
    print(write("ablation", parameters, samples, summary, options.out))


if __name__ == "__main__":
    main()
