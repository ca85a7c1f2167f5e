"""Our doors beside mosec, LitServe, BentoML, Ray Serve, PyTriton and a bare echo, under wrk.

`python -m benchmarks.serving` makes a virtual environment per peer (once: `--prepare`), then takes
about six minutes. Linux, with wrk. `benchmarks/README.md` says how each is run.
"""

import argparse
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.load import Sample
from benchmarks.peers.catalogue import pinned
from benchmarks.peers.processes import adopt_orphans, end_all
from benchmarks.peers.venvs import DEFAULT, interpreters
from benchmarks.report import cell_name
from benchmarks.rounds import NotRun, command, finish, take
from benchmarks.serving import wrk
from benchmarks.serving.catalogue import RATIOS, STANDS, Load
from benchmarks.serving.sampling import measure
from benchmarks.systems import CLASSES, COLUMNS, IMAGE
from benchmarks.table import Table
from trtasync.system.cores import cores


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = command("serving", __doc__, rounds=3, seconds=2.0, warm_up=1.0)
    parser.add_argument(
        "--only", nargs="+", default=list(STANDS), choices=STANDS, metavar="NAME", help="of STANDS"
    )
    parser.add_argument("--out", type=Path, help="write there, and also when only some were run")
    parser.add_argument("--venvs", type=Path, default=DEFAULT, help="where environments are kept")
    parser.add_argument("--prepare", action="store_true", help="only make the environments")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.seconds = 1, 1.0
    if options.out:
        options.out = options.out.resolve()
    is_whole = options.only == list(STANDS) and not options.quick
    options.no_write = not (options.out or is_whole)
    return options


def main(arguments: list[str] | None = None) -> None:
    """Prepare, measure, print, write."""
    options = parse(arguments)
    try:
        wrk.find()
    except NotRun as reason:
        sys.exit(str(reason))
    environments = {STANDS[name].system.environment for name in options.only}
    pythons, installed, not_made = interpreters(environments, options.venvs)
    if options.prepare:
        return

    def sample(name: str) -> dict[str, Sample]:
        stand = STANDS[name]
        python = pythons[stand.system.environment]
        return measure(stand, python, options.seconds, options.warm_up)

    failed = left_out(options.only, not_made)
    adopt_orphans()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of all `finally`
    try:
        runnable = [name for name in options.only if name not in failed]
        taken, not_run = take(runnable, options.rounds, sample)
    finally:
        end_all()
    table = Table()
    for found in taken:
        for name, by_load in found.items():
            for load, one in by_load.items():
                table.add(cell_name(name, load), one)
    parameters = {
        "models": [f"float32[n, {COLUMNS}] @ float32[{COLUMNS}, {CLASSES}]", f"[n, {IMAGE}]"],
        "blas_threads": 1,
        "wrk": wrk.version(),
        "packages": installed,
    }
    systems = {"systems": described(options.only, installed, failed | not_run)}
    name = options.out.stem if options.out else "serving"
    finish(name, table, RATIOS, options, parameters, systems, options.out)


def left_out(names: Sequence[str], not_made: Mapping[str, str]) -> dict[str, str]:
    """Who cannot be measured here, and why."""
    found = {}
    for name in names:
        system, _, least = STANDS[name]
        if cores() < least:
            found[name] = f"it takes {least} cores, and this machine has {cores()}"
        elif system.environment in not_made:
            found[name] = not_made[system.environment]
    return found


def described(
    names: list[str], installed: dict[str, dict[str, str]], failed: dict[str, str]
) -> dict[str, dict[str, Any]]:
    """By cell, what the table says of it beside its figures."""
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        system, loads, _ = STANDS[name]
        known = installed.get(system.environment) or pinned(system.environment)
        for load, asked in loads.items():
            found[cell_name(name, load)] = {
                "title": system.title.format_map(known),
                "settings": system.settings,
                "connections": asked.connections,
                "body": asked.body if isinstance(asked, Load) else "gRPC",
                **({"not_run": failed[name]} if name in failed else {}),
            }
    return found


if __name__ == "__main__":
    main()
