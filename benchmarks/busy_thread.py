"""The same load beside something that computes: a Python thread, or a coroutine on the same loop.

The thread holds the GIL for a switch interval (5 ms by default) whenever the engine gives it up;
the coroutine holds the loop for 2 ms at a time. `python -m benchmarks.busy_thread` takes about
four minutes, `--quick` half a minute.
"""

import argparse

from benchmarks.report import cell_name
from benchmarks.rounds import command, finish, tabled, take
from benchmarks.table import Ratio
from benchmarks.worker import Plan, answer, start

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
    parser = command("busy_thread", __doc__, rounds=5, seconds=1.5, warm_up=1.0)
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="asyncio")
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
    taken, _ = take(plans, options.rounds, lambda name: answer(start(plans[name])))
    wanted = [
        Ratio(cell_name("trtasync", name), cell_name("slab", name), figure, callers)
        for name in (condition(*given) for given in CONDITIONS)
        for figure, callers in (("requests_per_second", "64"), ("p50_us", "1"))
    ]
    parameters = {"callers": [CALLERS, 1], "loop": options.loop}
    finish("busy_thread", tabled(taken), wanted, options, parameters, {})


if __name__ == "__main__":
    main()
