"""What the models of the other benchmarks take by themselves, on one thread.

`python -m benchmarks.models` takes half a minute. Their tables say it: the rest is what a request
costs besides. CPU time, so that a busy machine matters little.
"""

import argparse
from typing import Any

from benchmarks.alone import Plan
from benchmarks.report import write
from benchmarks.rounds import take
from benchmarks.systems import COLUMNS, IMAGE, MAX_BATCH_SIZE
from benchmarks.worker import answer, start
from trtasync.measure.statistics import rounded, spreads

MODELS = {"product": COLUMNS, "first columns": IMAGE}
RUNTIMES = ("NumPy", "ONNX Runtime")
ROWS = (1, MAX_BATCH_SIZE)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.models", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.2, help="per sample")
    parser.add_argument("--quick", action="store_true", help="a short run, nothing written")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.seconds = 1, 0.02
    return options


def cells(seconds: float) -> dict[str, Plan]:
    """Every model by every runtime, in every size of batch."""
    return {
        f"{name}, {by} at {rows}": Plan(columns, by, rows, seconds)
        for name, columns in MODELS.items()
        for by in RUNTIMES
        for rows in ROWS
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    options = parse(arguments)
    plans = cells(options.seconds)
    taken, _ = take(
        plans, options.rounds, lambda name: answer(start(plans[name], "benchmarks.alone"))
    )
    summary: dict[str, Any] = {name: spreads([each[name] for each in taken]) for name in plans}
    for name, found in summary.items():
        print(f"{name:34} {found['us_per_row']['median']:.3g} us a row")
    if not options.quick:
        parameters = {"rounds": options.rounds, "seconds": options.seconds, "blas_threads": 1}
        samples = [
            {"cell": name, "round": number, **rounded(found)}
            for number, each in enumerate(taken, 1)
            for name, found in each.items()
        ]
        print(write("models", parameters, samples, summary))


if __name__ == "__main__":
    main()
