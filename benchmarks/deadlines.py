"""Closed loops of callers with deadlines in virtual time: `python -m benchmarks.deadlines`.

The engine's own policy against every largest batch, fixed delay and number of streams that could be
set, on the same callers. `docs/policies.md` says how to read the result.
"""

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.policies import write
from benchmarks.report import RESULTS, commit, hardware, versions
from benchmarks.simulation.costs import measured
from benchmarks.simulation.deadlines import loops, measure, summarize, table


def main(arguments: list[str] | None = None) -> None:
    """Simulate, print, write."""
    parser = argparse.ArgumentParser(prog="benchmarks.deadlines", description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULTS / "deadlines.json")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="processes")
    options = parser.parse_args(arguments)
    samples = list(measure(loops(options.seeds), options.jobs))
    summary = summarize(samples)
    print(table(summary))
    result = {
        "name": "deadlines",
        **commit(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "hardware": hardware(),
        "versions": versions(),
        "parameters": {"seeds": options.seeds, "cost": measured().where},
        "summary": summary,
        "samples": samples,
    }
    write(options.out, result)
    print(options.out)


if __name__ == "__main__":
    main()
