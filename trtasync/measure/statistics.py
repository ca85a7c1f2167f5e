"""Statistics: rates, percentiles, and medians with their spread over rounds."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

Seconds = npt.NDArray[np.float64]
"""Seconds."""

Figures = dict[str, float]
"""Figures by name; one that was not measured is missing."""

Spread = dict[str, float]
"""`median`, `min` and `max` of a figure over rounds."""


def rates(what: str, count: float, seconds: float, cpu: float) -> Figures:
    """Compute throughput and CPU cost.

    Args:
        what: the kind of item, such as "requests".
        count: the number of items.
        seconds: the elapsed time.
        cpu: the CPU time in seconds.
    """
    found = {
        what: count,
        "seconds": seconds,
        f"{what}_per_second": count / seconds,
        "cpu_cores": cpu / seconds,
    }
    return found | ({"cpu_us": cpu / count * 1e6} if count else {})


def percentiles(prefix: str, seconds: Sequence[float] | Seconds, wanted: Sequence[int]) -> Figures:
    """Percentiles in microseconds, such as `latency_p50_us`; nothing for no values."""
    if not len(seconds):
        return {}
    values = np.percentile(seconds, wanted) * 1e6
    return {f"{prefix}p{p}_us": float(v) for p, v in zip(wanted, values, strict=True)}


def tail(ascending: Sequence[float] | Seconds, share: float, lost: int = 0) -> float:
    """Return the smallest value that at most `1 - share` of all exceed (nearest-rank percentile).

    Args:
        ascending: the values.
        share: the percentile as a fraction, such as 0.99.
        lost: additional infinite values: requests without an answer.

    Returns:
        the value; inf if it is one of the lost, or if there are no values.
    """
    rank = math.ceil(share * (len(ascending) + lost)) - 1
    return float(ascending[rank]) if 0 <= rank < len(ascending) else math.inf


def spread(values: Iterable[float]) -> Spread:
    """Median, minimum and maximum, rounded to five digits."""
    found = sorted(values)
    return rounded({"median": statistics.median(found), "min": found[0], "max": found[-1]})


def spreads(rounds: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    """The spread of each figure over the rounds that have it."""
    names = dict.fromkeys(name for figures in rounds for name in figures)
    return {name: spread(each[name] for each in rounds if name in each) for name in names}


def rounded(figures: Mapping[str, float], digits: int = 5) -> Figures:
    """Round to significant digits, except whole numbers."""
    return {
        name: value if isinstance(value, int) else float(f"{value:.{digits}g}")
        for name, value in figures.items()
    }
