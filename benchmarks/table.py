"""Samples by cell and round: medians with their spread, and ratios within a round."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from benchmarks.load import Sample
from trtasync.measure.statistics import Spread, rounded, spread, spreads

SHOWN = {
    "per second": "requests_per_second",
    "CPU us": "cpu_us",
    "p50 us": "p50_us",
    "p99 us": "p99_us",
    "loop p99 us": "heartbeat_p99_us",
}
"""Column -> figure."""


class Ratio(NamedTuple):
    """One cell's figure over another's."""

    cell: str
    over: str
    figure: str
    callers: str = ""

    @property
    def key(self) -> str:
        """Its name in results."""
        return f"{self.cell} : {self.over}, {_at(self.figure, self.callers)}"


@dataclass
class Table:
    """All samples of a benchmark.

    Attributes:
        cells: name, with the number of callers where that varies -> its sample of each round.
    """

    cells: dict[str, list[Sample]] = field(default_factory=dict)

    def add(self, cell: str, sample: Sample, callers: str = "") -> None:
        """Keep the next round's sample of a cell."""
        self.cells.setdefault(_at(cell, callers), []).append(sample)

    def summary(self) -> dict[str, dict[str, Spread]]:
        """Cell -> figure -> median, min and max over the rounds."""
        return {cell: spreads(samples) for cell, samples in self.cells.items()}

    def by_callers(self) -> dict[str, dict[str, dict[str, Spread]]]:
        """The same, with a level for the number of callers."""
        found: dict[str, dict[str, dict[str, Spread]]] = {}
        for name, figures in self.summary().items():
            cell, _, callers = name.rpartition(" at ")
            found.setdefault(cell, {})[callers] = figures
        return found

    def ratios(self, wanted: Iterable[Ratio]) -> dict[str, Spread]:
        """Those of cells that were measured: formed within every round, then their spread."""
        found = {}
        for ratio in wanted:
            both = [self.cells.get(_at(cell, ratio.callers)) for cell in ratio[:2]]
            if both[0] and both[1]:
                pairs = zip(both[0], both[1], strict=True)
                found[ratio.key] = spread(a[ratio.figure] / b[ratio.figure] for a, b in pairs)
        return found

    def samples(self) -> list[dict[str, Any]]:
        """Every one, flat, rounded to what means something."""
        return [
            {"cell": cell, **({"callers": int(callers)} if callers else {}), "round": number}
            | rounded(sample)
            for name, samples in self.cells.items()
            for cell, _, callers in [name.partition(" at ")]
            for number, sample in enumerate(samples, 1)
        ]

    def foreign_cores(self) -> Spread | None:
        """Cores that unrelated processes used during the samples (Linux)."""
        every = [sample for samples in self.cells.values() for sample in samples]
        return spreads(every).get("foreign_cores")

    def show(self) -> None:
        """Print medians, and the spread of the rate, for a person."""
        print(f"\n{'cell':46}" + "".join(f"{title:>12}" for title in SHOWN) + "  (min .. max)")
        for cell, figures in self.summary().items():
            row = "".join(f"{_median(figures.get(figure)):>12}" for figure in SHOWN.values())
            rate = figures["requests_per_second"]
            print(f"{cell:46}{row}  ({number(rate['min'])} .. {number(rate['max'])})")


def _at(name: str, callers: str) -> str:
    return f"{name} at {callers}" if callers else name


def show_ratios(found: Mapping[str, Spread]) -> None:
    """Print them."""
    for key, value in found.items():
        print(f"{key:90} {value['median']:7.3f} ({value['min']:.3f} .. {value['max']:.3f})")


def number(value: float) -> str:
    """For a person: 12,345 or 0.0123."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def line(sample: Sample, figures: Sequence[str] = tuple(SHOWN.values())) -> str:
    """A sample in a line."""
    return "  ".join(f"{name}={number(sample[name])}" for name in figures if name in sample)


def _median(figure: Spread | None) -> str:
    return "-" if figure is None else number(figure["median"])
