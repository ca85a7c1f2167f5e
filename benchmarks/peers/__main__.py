"""The same model and load through ours, a hand-written batcher and other people's batchers.

`python -m benchmarks.peers` makes a virtual environment per peer (once: `--prepare`), then takes
about eight minutes. Linux only. `benchmarks/README.md` says how each is run.
"""

import argparse
import signal
import sys
from pathlib import Path

from benchmarks.load import Sample
from benchmarks.peers.catalogue import ENVIRONMENTS, SYSTEMS
from benchmarks.peers.described import described, wanted_ratios
from benchmarks.peers.processes import adopt_orphans, end_all
from benchmarks.peers.sampling import Times, measure
from benchmarks.peers.venvs import DEFAULT, prepare_all, versions
from benchmarks.rounds import NotRun, command, finish, tabled, take
from benchmarks.systems import CLASSES, COLUMNS

CALLERS = 64


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = command("peers", __doc__, rounds=3, seconds=1.5, warm_up=0.5)
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="NAME",
        default=[],
        help="environments, systems or cells: " + ", ".join((*ENVIRONMENTS, *SYSTEMS)),
    )
    parser.add_argument("--out", type=Path, help="write there, and also when only some were run")
    parser.add_argument("--venvs", type=Path, default=DEFAULT, help="where environments are kept")
    parser.add_argument("--prepare", action="store_true", help="only make the environments")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.seconds, options.warm_up = 1, 0.5, 0.2
    options.cells = chosen(options.only)
    if not options.cells:
        parser.error(f"--only: nothing is called {' '.join(options.only)}")
    if options.out:
        options.out = options.out.resolve()
    options.no_write = not options.out and bool(options.quick or options.only)
    return options


def chosen(names: list[str]) -> list[str]:
    """The cells meant by names of environments, systems or cells; all without any."""
    return [
        cell
        for cell, system in SYSTEMS.items()
        if not names or {cell, system.key, system.environment} & set(names)
    ]


def main(arguments: list[str] | None = None) -> None:
    """Prepare, measure, print, write."""
    options = parse(arguments)
    cells: list[str] = options.cells
    names = dict.fromkeys(SYSTEMS[cell].environment for cell in cells)
    made, failed = prepare_all(names, options.venvs)
    for name, reason in failed.items():
        print(f"{name}: {reason}", file=sys.stderr)
    if options.prepare:
        return
    installed: dict[str, dict[str, str]] = {}
    for name, python in list(made.items()):
        try:
            installed[name] = versions(python)
        except NotRun as reason:
            failed[name] = str(reason)
            del made[name]
    times = Times({CALLERS: options.seconds, 1: options.seconds / 3}, options.warm_up)
    runnable = [cell for cell in cells if SYSTEMS[cell].environment in made]

    def sample(cell: str) -> dict[str, Sample]:
        system = SYSTEMS[cell]
        return measure(system, made[system.environment], times)

    adopt_orphans()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of all `finally`
    try:
        taken, left_out = take(runnable, options.rounds, sample)
    finally:
        end_all()
    systems = described(cells, installed, failed | left_out)
    for cell, about in systems.items():
        if "not_run" in about:
            print(f"{cell}: not run: {about['not_run']}")
    parameters = {
        "model": f"float32[n, {COLUMNS}] @ float32[{COLUMNS}, {CLASSES}]",
        "callers": [CALLERS, 1],
        "blas_threads": 1,
        "packages": installed,
    }
    table, more = tabled(taken), {"systems": systems}
    finish("peers", table, wanted_ratios(taken[0]), options, parameters, more, options.out)


if __name__ == "__main__":
    main()
