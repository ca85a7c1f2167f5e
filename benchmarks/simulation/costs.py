"""The time of a batch on an otherwise idle device, and how much of it others can overlap."""

import json
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import RESULTS


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of a batch by its rows.

    Attributes:
        own: launches, latencies and copies: what overlaps with other streams' batches.
        shared: work that takes turns with other streams' batches.
    """

    own: Callable[[int], float]
    shared: Callable[[int], float]

    def seconds(self, rows: int) -> float:
        """A batch alone on the device."""
        return self.own(rows) + self.shared(rows)


def linear(first: float, each: float, overlap: float) -> Cost:
    """`first + each * rows` seconds, of which the fraction `overlap` overlaps with other
    batches."""
    return Cost(
        lambda rows: overlap * (first + each * rows),
        lambda rows: (1 - overlap) * (first + each * rows),
    )


def steps(width: int, each: float, overlap: float) -> Cost:
    """`each` seconds for every `width` rows or part thereof: a device that computes in waves."""
    return Cost(
        lambda rows: overlap * each * -(-rows // width),
        lambda rows: (1 - overlap) * each * -(-rows // width),
    )


@dataclass(frozen=True, slots=True)
class Measured:
    """ResNet-50 on an H200, copies included.

    Attributes:
        rows: batch sizes measured, ascending.
        alone: of each, seconds of a batch with nothing beside it.
        least: of each, seconds per batch when streams are kept full: what they share.
        where: what says so.
    """

    rows: tuple[int, ...]
    alone: tuple[float, ...]
    least: tuple[float, ...]
    where: str

    @property
    def cost(self) -> Cost:
        """Straight lines between the sizes measured."""
        return Cost(
            lambda rows: self._at(self.alone, rows) - self._at(self.least, rows),
            lambda rows: self._at(self.least, rows),
        )

    def _at(self, seconds: tuple[float, ...], rows: int) -> float:
        last = bisect_left(self.rows, rows)
        if self.rows[last] == rows:
            return seconds[last]
        before, after = self.rows[last - 1], self.rows[last]
        share = (rows - before) / (after - before)
        return seconds[last - 1] + share * (seconds[last] - seconds[last - 1])


def measured(dtype: str = "float32", results: Path = RESULTS) -> Measured:
    """From the last run of `benchmarks.gpu.streams`.

    With one to four streams the model of `device` (own work beside others', shared work in equal
    parts) then predicts what a batch takes beside others within about a tenth of what that run
    measured; this module's test checks that.
    """
    path = results / "gpu_streams.json"
    found = json.loads(path.read_text())
    cells, sizes = found["summary"]["cells"], found["parameters"]["rows"]
    streams, depths = found["parameters"]["streams"], found["parameters"]["depths"]

    def seconds(many: int, depth: int, rows: int) -> float:
        cell = cells[f"{dtype}/{many} streams, depth {depth}/{rows} rows"]
        return float(cell["batch_us"]["median"]) * 1e-6

    return Measured(
        tuple(sizes),
        tuple(seconds(1, 1, rows) for rows in sizes),
        tuple(
            min(seconds(many, deep, rows) for many in streams for deep in depths) for rows in sizes
        ),
        path.name,
    )
