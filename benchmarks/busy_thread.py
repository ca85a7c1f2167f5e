"""The same load beside something that computes: a Python thread, or a coroutine on the same loop.

The thread holds the GIL for a switch interval (5 ms by default) whenever the engine gives it up;
the coroutine holds the loop for 2 ms at a time. `python -m benchmarks.busy_thread` takes about
four minutes, `--quick` half a minute.
"""

import argparse
import sys

from benchmarks.report import cell_name, write
from benchmarks.rounds import (
    Ratio,
    foreign_cores,
    ratios,
    samples,
    seconds_needed,
    show,
    show_ratios,
    summarize,
    take,
)
from benchmarks.systems import MAX_BATCH_SIZE
from benchmarks.worker import Plan

CALLERS = 64
SYSTEMS = ("slab", "trtasync")
CONDITIONS = (
    ("none", 0.005),
    ("thread", 0.005),
    ("thread", 0.0005),
    ("coroutine", 0.005),
    ("coroutine", 0.0005),
)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.busy_thread", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="per sample")
    parser.add_argument("--warm-up", type=float, default=1.0, help="seconds before each sample")
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="asyncio")
    parser.add_argument("--quick", action="store_true", help="3 short rounds, nothing written")
    parser.add_argument("--no-write", action="store_true", help="print only")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.seconds, options.warm_up = 3, 0.2, 0.1
    options.no_write |= options.quick or options.systems != list(SYSTEMS)
    return options


def condition(disturb: str, interval: float) -> str:
    """The name of a condition in the results, such as "thread, 5 ms"."""
    return f"{disturb}, {interval * 1000:g} ms"


def cells(options: argparse.Namespace) -> dict[str, Plan]:
    """Both systems under every condition."""
    seconds = {CALLERS: options.seconds, 1: options.seconds / 2}
    return {
        cell_name(system, condition(disturb, interval)): Plan(
            system, options.loop, seconds, options.warm_up, disturb, interval
        )
        for disturb, interval in CONDITIONS
        for system in options.systems
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    options = parse(arguments)
    plans = cells(options)
    about = seconds_needed(plans, options.rounds)
    print(f"{len(plans)} cells, {options.rounds} rounds, about {about:.0f} s", file=sys.stderr)
    taken = take(plans, options.rounds)
    summary = summarize(taken)
    wanted = [
        Ratio(cell_name("trtasync", name), cell_name("slab", name), figure, callers)
        for name in (condition(*given) for given in CONDITIONS)
        for figure, callers in (("requests_per_second", "64"), ("p50_us", "1"))
        if len(options.systems) == len(SYSTEMS)
    ]
    compared = ratios(taken, wanted)
    show(summary)
    show_ratios(compared)
    if not options.no_write:
        parameters = {
            "callers": [CALLERS, 1],
            "max_batch_size": MAX_BATCH_SIZE,
            "loop": options.loop,
            "rounds": options.rounds,
            "seconds": options.seconds,
            "foreign_cores": foreign_cores(taken),
        }
        found = {"cells": summary, "ratios": compared}
        print(write("busy_thread", parameters, samples(taken), found))


if __name__ == "__main__":
    main()
