"""An open loop from another process at 1, 2 and 10 times capacity: `python -m benchmarks.overload`.

Takes about two and a half minutes, `--quick` half a minute. Half a capacity's worth of the requests
has priority 1, the rest priority 9. See `benchmarks/README.md` for how to read the result.
"""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.overload.server import EACH, FIRST, MAX_BATCH_SIZE, Plan
from benchmarks.report import cell_name, write
from benchmarks.rounds import command, take
from benchmarks.worker import answer, start
from trtasync.measure.statistics import Spread, spread

TIMES = (1, 2, 10)
"""Offered load, in capacities."""
SERVER = "benchmarks.overload.server"
URGENT = 0.5
"""Capacities' worth of requests with priority 1."""
OPTIONS: dict[str, dict[str, Any]] = {
    "max_queue_size=64": {"max_queue_size": 64},
    "max_queue_time=0.1": {"max_queue_time": 0.1},
}

Found = Mapping[str, Any]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = command("overload", __doc__, rounds=3, seconds=4.0, warm_up=1.0)
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="uvloop")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.seconds, options.warm_up = 1, 1.0, 0.5
    return options


def cells(options: argparse.Namespace) -> dict[str, Plan]:
    """Every bound of the queue at every load."""
    return {
        cell_name(bound, str(times)): Plan(
            options.loop,
            given,
            {"1": URGENT, "9": times - URGENT},
            options.seconds,
            options.warm_up,
            seed=times,
        )
        for bound, given in OPTIONS.items()
        for times in TIMES
    }


def summarize(taken: Sequence[Mapping[str, Found]]) -> dict[str, dict[str, Any]]:
    """Cell -> figures over the rounds."""
    return {name: _summary([found[name] for found in taken]) for name in taken[0]}


def _summary(found: Sequence[Found]) -> dict[str, Any]:
    def over(values: Sequence[float | None]) -> Spread | None:
        known = [value for value in values if value is not None]
        return spread(known) if known else None

    return {
        "goodput": over([each["goodput"] for each in found]),
        "refusal_p50_us": over([each["refusal_p50_us"] for each in found]),
        "refusal_p99_us": over([each["refusal_p99_us"] for each in found]),
        "loop_cores": over([each["loop_cores"] for each in found]),
        "late_ms": over([each["late_ms"] for each in found]),
        "priorities": {
            priority: {
                "lost": over([1 - seen.get("answered", 0) / seen["asked"] for seen in each]),
                "p50_ms": over([seen["p50_ms"] for seen in each]),
                "p99_ms": over([seen["p99_ms"] for seen in each]),
            }
            for priority in found[0]["priorities"]
            for each in [[sample["priorities"][priority] for sample in found]]
        },
    }


def show(summary: Mapping[str, Mapping[str, Any]]) -> None:
    """Print the medians for a person."""
    print(f"{'cell':24}{'goodput':>9}{'lost 1':>9}{'lost 9':>9}{'p99 ms 1':>10}{'refusal us':>12}")
    for name, figures in summary.items():
        first, last = figures["priorities"]["1"], figures["priorities"]["9"]
        refusal = figures["refusal_p50_us"]
        print(
            f"{name:24}{figures['goodput']['median']:9.3f}{first['lost']['median']:9.2%}"
            f"{last['lost']['median']:9.2%}{first['p99_ms']['median']:10.1f}"
            f"{refusal['median'] if refusal else float('nan'):12.1f}"
        )


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    options = parse(arguments)
    plans = cells(options)
    taken, _ = take(plans, options.rounds, lambda name: answer(start(plans[name], SERVER)))
    summary = summarize(taken)
    show(summary)
    if options.quick:
        return
    everything = [sample for found in taken for sample in found.values()]
    foreign = [each["foreign_cores"] for each in everything if "foreign_cores" in each]
    parameters = {
        "model": f"{FIRST * 1e3:g} + {EACH * 1e3:g} n ms",
        "max_batch_size": MAX_BATCH_SIZE,
        "capacity": spread([each["capacity"] for each in everything]),
        "urgent": URGENT,
        "loop": options.loop,
        "rounds": options.rounds,
        "seconds": options.seconds,
        "foreign_cores": spread(foreign) if foreign else None,
    }
    flat = [
        {"round": number, "cell": name, **sample}
        for number, found in enumerate(taken, 1)
        for name, sample in found.items()
    ]
    print(write("overload", parameters, flat, summary))


if __name__ == "__main__":
    main()
