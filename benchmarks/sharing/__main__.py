"""One engine for several processes, compared with an engine in the process: 12 KB rows.

`python -m benchmarks.sharing` takes about four minutes, `--quick` half a minute. Every process of a
sample is a fresh one.
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks.load import Sample
from benchmarks.report import cell_name
from benchmarks.rounds import command, finish, take
from benchmarks.sharing.client import Plan
from benchmarks.sharing.clients import measure
from benchmarks.sharing.models import product
from benchmarks.table import Ratio, Table

CALLERS = 64
PROCESSES = (1, 2, 4, 8)
ALONE = "in process"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = command("sharing", __doc__, rounds=5, seconds=1.5, warm_up=0.5)
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="uvloop")
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.seconds, options.warm_up, options.no_write = 3, 0.3, 0.2, True
    return options


def cells(options: argparse.Namespace, model: Path) -> dict[str, tuple[Plan, int]]:
    """Name -> what each process does, and the number of processes."""

    def plan(shared: bool, callers: int) -> Plan:
        return Plan(
            options.loop, callers, options.seconds, options.warm_up, str(model), shared=shared
        )

    found = {
        cell_name(ALONE, "one caller"): (plan(False, 1), 1),
        cell_name(ALONE, str(CALLERS)): (plan(False, CALLERS), 1),
        cell_name("shared", "one caller"): (plan(True, 1), 1),
    }
    for processes in PROCESSES:
        found[cell_name("shared", f"{processes} x {CALLERS}")] = plan(True, CALLERS), processes
    return found


def wanted_ratios() -> list[Ratio]:
    """The shared engine over one in the process, of the same round."""
    ratios = [
        Ratio(cell_name("shared", "one caller"), cell_name(ALONE, "one caller"), figure)
        for figure in ("p50_us", "p99_us")
    ]
    for processes in PROCESSES:
        ratios += [
            Ratio(
                cell_name("shared", f"{processes} x {CALLERS}"),
                cell_name(ALONE, str(CALLERS)),
                "requests_per_second",
            )
        ]
    return ratios


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    options = parse(arguments)
    with tempfile.TemporaryDirectory() as folder:
        plans = cells(options, product(Path(folder)))
        taken, _ = take(plans, options.rounds, lambda name: measure(*plans[name]))
    table = Table()
    for found in taken:
        for name, sample in found.items():
            table.add(name, sample)
    parameters = {"callers": CALLERS, "processes": list(PROCESSES), "loop": options.loop}
    finish("sharing", table, wanted_ratios(), options, parameters, host_over_engine(taken))


def host_over_engine(taken: list[dict[str, Sample]]) -> dict[str, list[float]]:
    """The host's CPU per request over that of an engine in the process, per round."""
    own = cell_name(ALONE, str(CALLERS))
    return {
        f"host_us over cpu_us, {processes} x {CALLERS}": [
            each[cell_name("shared", f"{processes} x {CALLERS}")]["host_us"] / each[own]["cpu_us"]
            for each in taken
        ]
        for processes in PROCESSES
    }


if __name__ == "__main__":
    main()
