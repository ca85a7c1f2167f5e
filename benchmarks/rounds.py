"""Rounds of samples: every cell once per round, in another order each time.

Drift of a shared machine (a neighbour, a clock, heat) then hits all cells alike, and ratios are
formed within one round before their median is taken.
"""

import random
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks.load import Sample, wait_for_quiet
from benchmarks.report import Spread, spread
from benchmarks.worker import Plan, finish, start

FIGURES = ("requests_per_second", "cpu_us", "p50_us", "p99_us")

PATIENCE = 3.0
"""Seconds that a sample waits at most for other processes to be done."""

Round = dict[str, dict[str, Sample]]
"""Cell name -> number of callers (a string, as in JSON) -> its sample."""


class Ratio(NamedTuple):
    """One cell's figure over another's."""

    cell: str
    over: str
    figure: str
    callers: str = "64"

    @property
    def key(self) -> str:
        """Its name in the results file."""
        return f"{self.cell} : {self.over}, {self.figure} at {self.callers}"


def take(cells: Mapping[str, Plan], rounds: int) -> list[Round]:
    """Measure all cells `rounds` times, one process after the other, in quiet moments if any."""
    order = random.Random(1)
    names = list(cells)
    taken: list[Round] = []
    began = time.monotonic()
    for number in range(1, rounds + 1):
        order.shuffle(names)
        found: Round = {}
        for name in names:
            wait_for_quiet(PATIENCE)
            found[name] = finish(start(cells[name]))
        taken.append({name: found[name] for name in cells})
        passed = time.monotonic() - began
        print(f"round {number} of {rounds}, {passed:.0f} s", file=sys.stderr, flush=True)
    return taken


def summarize(taken: Sequence[Round]) -> dict[str, dict[str, dict[str, Spread]]]:
    """Cell -> callers -> figure -> median, min and max over the rounds."""
    return {
        name: {
            callers: {
                figure: spread(float(found[name][callers][figure]) for found in taken)  # type: ignore[literal-required]
                for figure in FIGURES
            }
            for callers in taken[0][name]
        }
        for name in taken[0]
    }


def ratios(taken: Sequence[Round], wanted: Sequence[Ratio]) -> dict[str, Spread]:
    """Each ratio formed within every round, then its median, min and max."""
    return {ratio.key: spread(_ratio(found, ratio) for found in taken) for ratio in wanted}


def _ratio(found: Round, ratio: Ratio) -> float:
    cell: Mapping[str, Any] = found[ratio.cell][ratio.callers]
    over: Mapping[str, Any] = found[ratio.over][ratio.callers]
    return float(cell[ratio.figure]) / float(over[ratio.figure])


def samples(taken: Sequence[Round]) -> list[dict[str, Any]]:
    """All samples, flat, as the results file keeps them."""
    return [
        {"round": number, "cell": name, "callers": int(callers), **_short(sample)}
        for number, found in enumerate(taken, 1)
        for name, by_callers in found.items()
        for callers, sample in by_callers.items()
    ]


def _short(sample: Sample) -> dict[str, Any]:
    return {
        key: float(f"{value:.5g}") if isinstance(value, float) else value
        for key, value in sample.items()
    }


def foreign_cores(taken: Sequence[Round]) -> Spread | None:
    """Cores that other processes used during the samples (Linux)."""
    seen = [
        sample["foreign_cores"]
        for found in taken
        for by_callers in found.values()
        for sample in by_callers.values()
        if sample["foreign_cores"] is not None
    ]
    return spread(seen) if seen else None


def show(summary: Mapping[str, Mapping[str, Mapping[str, Spread]]]) -> None:
    """Print the medians and spreads for a person."""
    head = "".join(f"{title:>10}" for title in ("CPU us", "p50 us", "p99 us"))
    print(f"{'cell':32}{'callers':>8}{'req/s (min .. max)':>32}{head}")
    for name, by_callers in summary.items():
        for callers, figures in by_callers.items():
            rate = figures["requests_per_second"]
            line = f"{rate['median']:,.0f} ({rate['min']:,.0f} .. {rate['max']:,.0f})"
            others = "".join(_wide(figures[figure]["median"]) for figure in FIGURES[1:])
            print(f"{name:32}{callers:>8}{line:>32}{others}")


def _wide(value: float) -> str:
    return f"{value:>10,.0f}" if value >= 1000 else f"{value:>10.3g}"


def show_ratios(found: Mapping[str, Spread]) -> None:
    """Print the ratios for a person."""
    for key, value in found.items():
        print(f"{key:78} {value['median']:6.2f} ({value['min']:.2f} .. {value['max']:.2f})")


def seconds_needed(cells: Mapping[str, Plan], rounds: int) -> float:
    """About how long `take` will run, a second of start-up per process included."""
    each = [
        sum(plan.seconds.values()) + plan.warm_up * len(plan.seconds) + 0.8
        for plan in cells.values()
    ]
    return rounds * sum(each)
