"""The engine's own cost: 64 closed-loop callers, 12 KB rows, a model of a few microseconds.

`python -m benchmarks.overhead` takes about three minutes, `--quick` half a minute. Every system
runs in a fresh process; see `benchmarks/README.md` for how to read the result.
"""

import argparse
import sys
from typing import Any

from benchmarks.report import cell_name
from benchmarks.rounds import command, finish, tabled, take
from benchmarks.systems import CLASSES, COLUMNS, SYSTEMS
from benchmarks.table import Ratio
from benchmarks.worker import Plan, answer, start

CALLERS = 64
RATIO_FIGURES = (("requests_per_second", "64"), ("cpu_us", "64"), ("p50_us", "64"), ("p50_us", "1"))


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = command("overhead", __doc__, rounds=5, seconds=1.5, warm_up=0.3)
    parser.add_argument("--idle", type=float, default=10.0, help="seconds of the idle check")
    parser.add_argument("--no-write", action="store_true", help="print only")
    parser.add_argument("--systems", nargs="+", choices=list(SYSTEMS), default=list(SYSTEMS))
    parser.add_argument(
        "--loops",
        nargs="+",
        choices=["asyncio", "uvloop", "trio"],
        default=["asyncio", "trio"] if sys.platform == "win32" else ["asyncio", "uvloop", "trio"],
    )
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.seconds, options.warm_up, options.idle = 3, 0.3, 0.1, 2.0
    everything = options.systems == list(SYSTEMS) and set(options.loops) >= {"asyncio", "uvloop"}
    options.no_write |= options.quick or not everything
    return options


def cells(options: argparse.Namespace) -> dict[str, Plan]:
    """Every system on every loop it knows (trio: only this project's engine)."""
    seconds = {CALLERS: options.seconds, 1: options.seconds / 3}
    return {
        cell_name(system, loop): Plan(system, loop, seconds, options.warm_up)
        for system in options.systems
        for loop in options.loops
        if loop != "trio" or system == "trtasync"
    }


def wanted_ratios() -> list[Ratio]:
    """trtasync over the yardstick and over async-batcher at its best, loop by loop."""
    return [
        Ratio(cell_name("trtasync", loop), cell_name(system, loop), figure, callers)
        for system in ("slab", "async-batcher-best")
        for loop in ("asyncio", "uvloop")
        for figure, callers in RATIO_FIGURES
    ]


def idle(options: argparse.Namespace) -> dict[str, Any]:
    """CPU that an open, idle engine uses, by loop (all at the same time)."""
    if "trtasync" not in options.systems or options.idle <= 0:
        return {}
    workers = {
        loop: start(Plan("trtasync", loop, {CALLERS: 0.0}, idle=options.idle))
        for loop in options.loops
    }
    return {loop: answer(worker) for loop, worker in workers.items()}


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    options = parse(arguments)
    plans = cells(options)
    taken, _ = take(plans, options.rounds, lambda name: answer(start(plans[name])))
    resting = idle(options)
    for loop, used in resting.items():
        print(f"idle engine on {loop}: {used['cpu_seconds']:.4f} s CPU in {used['seconds']:.1f} s")
    parameters = {
        "model": f"float32[n, {COLUMNS}] @ float32[{COLUMNS}, {CLASSES}]",
        "callers": [CALLERS, 1],
        "blas_threads": 1,
    }
    more = {"idle": resting}
    finish("overhead", tabled(taken), wanted_ratios(), options, parameters, more)


if __name__ == "__main__":
    main()
