"""A comparison of systems under one model, from the command line to the file of results."""

import argparse
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.load import Sample
from benchmarks.peers.catalogue import System
from benchmarks.peers.described import described
from benchmarks.peers.processes import adopt_orphans, end_all
from benchmarks.peers.sampling import Times, measure
from benchmarks.peers.venvs import DEFAULT, interpreters
from benchmarks.rounds import command, finish, tabled, take
from benchmarks.table import Ratio


class Comparison(NamedTuple):
    """Who is compared, and under which load.

    Attributes:
        name: of the results.
        about: for the command line's help.
        systems: by cell, in the table's order.
        callers: of the load; then there is a load of a single one.
        seconds: of a sample with all callers; one caller asks a third of that.
        warm_up: seconds before each sample.
        ratios: what is compared of the cells measured.
        parameters: for the file of results.
    """

    name: str
    about: str | None
    systems: Mapping[str, System]
    callers: int
    seconds: float
    warm_up: float
    ratios: Callable[[Iterable[str]], list[Ratio]]
    parameters: Mapping[str, Any]


def parse(comparison: Comparison, arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    name, about, systems, _, seconds, warm_up, *_ = comparison
    environments = dict.fromkeys(system.environment for system in systems.values())
    parser = command(name, about, rounds=3, seconds=seconds, warm_up=warm_up)
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="NAME",
        default=[],
        help="environments, systems or cells: " + ", ".join((*environments, *systems)),
    )
    parser.add_argument("--out", type=Path, help="write there, and also when only some were run")
    parser.add_argument("--venvs", type=Path, default=DEFAULT, help="where environments are kept")
    parser.add_argument("--prepare", action="store_true", help="only make the environments")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.seconds, options.warm_up = 1, 0.5, 0.2
    options.cells = chosen(systems, options.only)
    if not options.cells:
        parser.error(f"--only: nothing is called {' '.join(options.only)}")
    if options.out:
        options.out = options.out.resolve()
    options.no_write = not options.out and bool(options.quick or options.only)
    return options


def chosen(systems: Mapping[str, System], names: list[str]) -> list[str]:
    """The cells meant by names of environments, systems or cells; all without any."""
    return [
        cell
        for cell, system in systems.items()
        if not names or {cell, system.key, system.environment} & set(names)
    ]


def compare(comparison: Comparison, options: argparse.Namespace) -> None:
    """Prepare, measure, print, write."""
    systems, callers, cells = comparison.systems, comparison.callers, options.cells
    environments = {systems[cell].environment for cell in cells}
    pythons, installed, not_made = interpreters(environments, options.venvs)
    if options.prepare:
        return
    times = Times({callers: options.seconds, 1: options.seconds / 3}, options.warm_up)
    runnable = [cell for cell in cells if systems[cell].environment in pythons]

    def sample(cell: str) -> dict[str, Sample]:
        system = systems[cell]
        return measure(system, pythons[system.environment], times)

    adopt_orphans()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of all `finally`
    try:
        taken, left_out = take(runnable, options.rounds, sample)
    finally:
        end_all()
    told = described({cell: systems[cell] for cell in cells}, installed, not_made | left_out)
    for cell, about in told.items():
        if "not_run" in about:
            print(f"{cell}: not run: {about['not_run']}")
    parameters = {"callers": [callers, 1], "packages": installed, **comparison.parameters}
    table, more = tabled(taken), {"systems": told}
    ratios = comparison.ratios(taken[0])
    finish(comparison.name, table, ratios, options, parameters, more, options.out)
