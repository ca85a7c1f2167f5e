"""The same load beside something that computes: a Python thread, or a coroutine on the same loop.

The thread holds the GIL for a switch interval (5 ms by default) whenever the engine gives it up;
the coroutine holds the loop for 2 ms at a time. Small and large rows, in the process that computes
and shared (Linux). `python -m benchmarks.busy_thread` takes about seven minutes, `--quick` one.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks import worker
from benchmarks.load import Sample
from benchmarks.report import cell_name
from benchmarks.rounds import command, finish, tabled, take
from benchmarks.sharing import client
from benchmarks.sharing.clients import measure
from benchmarks.sharing.models import images, product
from benchmarks.systems import CLASSES, COLUMNS, IMAGE
from benchmarks.table import Ratio

CALLERS = 64
ALONE = ("none", 0.005)
BESIDE_THREAD = (ALONE, ("thread", 0.005), ("thread", 0.0005))
BESIDE_BOTH = (*BESIDE_THREAD, ("coroutine", 0.005))

Plans = worker.Plan | tuple[client.Plan, ...]
"""What one process does, or one after another."""


class OfFile(NamedTuple):
    """An engine of a model's file.

    Attributes:
        columns: of a row.
        shared: it runs in a process of its own.
        in_place: rows lie in `empty_input`.
    """

    columns: int
    shared: bool = False
    in_place: bool = False


FUNCTIONS = ("slab", "trtasync")
"""Of `benchmarks.systems`: the model is a numpy function."""

FILES = {
    "small": OfFile(COLUMNS),
    "small shared": OfFile(COLUMNS, shared=True),
    "large": OfFile(IMAGE),
    "large shared": OfFile(IMAGE, shared=True),
    "large shared in place": OfFile(IMAGE, shared=True, in_place=True),
}
SYSTEMS = (*FUNCTIONS, *(FILES if sys.platform == "linux" else ("small", "large")))


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = command("busy_thread", __doc__, rounds=3, seconds=1.5, warm_up=1.0)
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="asyncio")
    parser.add_argument("--no-write", action="store_true", help="print only")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.seconds, options.warm_up = 1, 0.2, 0.1
    options.no_write |= options.quick or options.systems != [*FUNCTIONS, *FILES]
    return options


def condition(disturb: str, interval: float) -> str:
    """The name of a condition in the results, such as "thread, 5 ms"."""
    return f"{disturb}, {interval * 1000:g} ms"


def cells(options: argparse.Namespace, folder: Path) -> dict[str, Plans]:
    """Each system under each of its conditions; models are written to a folder."""
    files = {COLUMNS: product(folder), IMAGE: images(folder)}
    found: dict[str, Plans] = {}
    for system in options.systems:
        for disturb, interval in BESIDE_BOTH if system in FUNCTIONS else BESIDE_THREAD:
            name = cell_name(system, condition(disturb, interval))
            if system in FUNCTIONS:
                found[name] = _of_function(options, system, disturb, interval)
            else:
                kind = FILES[system]
                found[name] = _of_file(options, kind, files[kind.columns], disturb, interval)
    return found


def _seconds(options: argparse.Namespace) -> dict[int, float]:
    return {CALLERS: options.seconds, 1: options.seconds / 2}


def _of_function(
    options: argparse.Namespace, system: str, disturb: str, interval: float
) -> worker.Plan:
    return worker.Plan(system, options.loop, _seconds(options), options.warm_up, disturb, interval)


def _of_file(
    options: argparse.Namespace, kind: OfFile, model: Path, disturb: str, interval: float
) -> tuple[client.Plan, ...]:
    return tuple(
        client.Plan(
            options.loop,
            callers,
            seconds,
            options.warm_up,
            str(model),
            shared=kind.shared,
            shape=(kind.columns,),
            in_place=kind.in_place,
            busy=disturb == "thread",
            switch_interval=interval,
        )
        for callers, seconds in _seconds(options).items()
    )


def sample(plans: Plans) -> dict[str, Sample]:
    """A sample for each number of callers."""
    if isinstance(plans, worker.Plan):
        found: dict[str, Sample] = worker.answer(worker.start(plans))
        return found
    return {str(plan.callers): measure(plan, clients=1) for plan in plans}


def wanted_ratios() -> list[Ratio]:
    """What each disturbance leaves of a system's throughput."""
    return [
        Ratio(
            cell_name(system, condition(*disturbed)),
            cell_name(system, condition(*ALONE)),
            "requests_per_second",
            str(CALLERS),
        )
        for system in SYSTEMS
        for disturbed in BESIDE_BOTH
        if disturbed != ALONE
    ]


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    options = parse(arguments)
    with tempfile.TemporaryDirectory() as folder:
        plans = cells(options, Path(folder))
        taken, _ = take(plans, options.rounds, lambda name: sample(plans[name]))
    parameters = {
        "models": [
            f"float32[n, {COLUMNS}] @ float32[{COLUMNS}, {CLASSES}]",
            f"float32[n, {IMAGE}][:, :{CLASSES}]",
        ],
        "callers": [CALLERS, 1],
        "loop": options.loop,
    }
    finish("busy_thread", tabled(taken), wanted_ratios(), options, parameters, {})


if __name__ == "__main__":
    main()
