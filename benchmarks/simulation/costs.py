"""What a batch takes on a device that does nothing else, and how much of it others can overlap."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import RESULTS


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of a batch by its rows.

    Attributes:
        own: launches, latencies and copies: what goes on beside other streams' batches.
        shared: work that takes its turns with other streams' batches.
    """

    own: Callable[[int], float]
    shared: Callable[[int], float]

    def seconds(self, rows: int) -> float:
        """A batch alone on the device."""
        return self.own(rows) + self.shared(rows)


def linear(first: float, each: float, overlap: float) -> Cost:
    """`first + each * rows` seconds, of which the share `overlap` goes on beside other batches."""
    return Cost(
        lambda rows: overlap * (first + each * rows),
        lambda rows: (1 - overlap) * (first + each * rows),
    )


def steps(width: int, each: float, overlap: float) -> Cost:
    """Every `width` rows begun take `each` seconds: a device that computes in waves."""
    return Cost(
        lambda rows: overlap * each * -(-rows // width),
        lambda rows: (1 - overlap) * each * -(-rows // width),
    )


@dataclass(frozen=True, slots=True)
class Measured:
    """ResNet-50, float32 input, on an H200.

    Attributes:
        one: seconds of a batch of one row.
        many: seconds of a batch of 64 rows, copies included.
        where: what says so.
    """

    one: float
    many: float
    where: str


def measured(results: Path = RESULTS) -> Measured:
    """From the last GPU run; from `h200.md` where there is none.

    A run holds no whole curve, but its ends: the plain call of one client, and the ceiling of one
    stream at 64 rows.
    """
    path = results / "gpu_resnet.json"
    if not path.exists():
        return Measured(0.96e-3, 64 / 12_500, "reference/h200.md")
    cells = json.loads(path.read_text())["summary"]["cells"]
    one = cells["plain spinning/float32/one client"]["p50_us"]["median"] * 1e-6
    many = 64 / cells["ceiling/float32/1"]["requests_per_second"]["median"]
    return Measured(one, many, path.name)


def resnet50(ends: Measured, latency_overlaps: bool) -> Cost:
    """A line through both ends, and a guess at what streams share.

    The GPU runs measured several streams at 64 rows only: there about 0.6 ms of a batch overlap
    (its copies), and ceilings of 2 to 4 streams lie within 3 % of 64 rows in the rest. How much
    of a small batch overlaps nobody has measured. So this is the two ends of what can be:

    Args:
        ends: what was measured.
        latency_overlaps: what does not grow with the rows goes on beside other batches, as when a
            small batch leaves most of the GPU idle. Otherwise only copies do, in proportion to the
            rows.
    """
    each = (ends.many - ends.one) / 63
    first = ends.one - each
    if latency_overlaps:
        return Cost(lambda rows: first, lambda rows: each * rows)
    copy = first / 64
    return Cost(lambda rows: copy * rows, lambda rows: first + (each - copy) * rows)
