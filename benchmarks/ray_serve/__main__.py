"""trtasync in a replica of Ray Serve, beside Ray's own batching: a model that takes 20 ms.

`make bench-ray` (Linux; about five minutes). Two clusters, one in Ray's default mode and one in its
fastest; in each, all systems in turn, in rounds. Ratios are computed within a round.
"""

import argparse
import signal
import sys
import tempfile
from collections.abc import Iterator

from benchmarks.peers.processes import adopt_orphans, end_all
from benchmarks.peers.sampling import free_port
from benchmarks.ray_serve.cluster import MODEL_SECONDS, Plan, taken
from benchmarks.report import cell_name
from benchmarks.rounds import command, finish
from benchmarks.table import Ratio, Table

CALLERS = 64
MODES = {
    "default": {},
    "HAProxy": {"RAY_SERVE_THROUGHPUT_OPTIMIZED": "1", "RAY_SERVE_ENABLE_HA_PROXY": "1"},
}
"""By name, the variables that tell Ray."""


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = command("ray_serve", __doc__, rounds=3, seconds=3.0, warm_up=1.0)
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.seconds, options.warm_up, options.no_write = 2, 1.0, 0.5, True
    return options


def wanted() -> Iterator[Ratio]:
    """The ratios to report."""
    for mode in MODES:
        for over in ("@serve.batch, handle", "trtasync with 5 ongoing, handle"):
            yield _ratio("trtasync, handle", over, mode)
        yield _ratio("trtasync, HTTP", "@serve.batch, HTTP", mode)


def _ratio(cell: str, over: str, mode: str) -> Ratio:
    return Ratio(cell_name(cell, mode), cell_name(over, mode), "requests_per_second", str(CALLERS))


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    options = parse(arguments)
    adopt_orphans()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of all `finally`
    table = Table()
    for mode, variables in MODES.items():
        with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
            plan = Plan(
                port=free_port(),
                folder=folder,
                callers=CALLERS,
                rounds=options.rounds,
                seconds=options.seconds,
                warm_up=options.warm_up,
            )
            try:
                for found in taken(plan, variables):
                    for name, sample in found.items():
                        table.add(cell_name(name, mode), sample, str(CALLERS))
            finally:
                end_all()
    parameters = {"callers": CALLERS, "model_seconds": MODEL_SECONDS}
    finish("ray_serve", table, wanted(), options, parameters, {})


if __name__ == "__main__":
    main()
