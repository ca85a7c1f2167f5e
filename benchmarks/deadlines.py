"""Closed loops of callers with deadlines in virtual time: `python -m benchmarks.deadlines`.

The engine's own policy against every possible largest batch, fixed delay and number of streams,
with the same callers. `docs/policies.md` says how to read the result.
"""

import argparse
import os
from pathlib import Path

from benchmarks.report import write
from benchmarks.simulation.costs import measured
from benchmarks.simulation.deadlines import Loop, loops, summarize, table
from benchmarks.simulation.study import on_processes


def main(arguments: list[str] | None = None) -> None:
    """Simulate, print, write."""
    parser = argparse.ArgumentParser(prog="benchmarks.deadlines", description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="processes")
    options = parser.parse_args(arguments)
    samples = list(on_processes(Loop.measure, loops(options.seeds), options.jobs))
    summary = summarize(samples)
    print(table(summary))
    parameters = {"seeds": options.seeds, "cost": measured().where}
    print(write("deadlines", parameters, samples, summary, options.out))


if __name__ == "__main__":
    main()
