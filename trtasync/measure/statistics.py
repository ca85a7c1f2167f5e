"""What is made of many numbers: rates, percentiles, and medians with their spread over rounds."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

Seconds = npt.NDArray[np.float64]
"""Seconds."""

Figures = dict[str, float]
"""By name; what was not measured is missing."""

Spread = dict[str, float]
"""`median`, `min` and `max` of one figure over rounds."""


def rates(what: str, count: float, seconds: float, cpu: float) -> Figures:
    """Throughput and its cost.

    Args:
        what: was done, such as "requests".
        count: of these.
        seconds: it took.
        cpu: seconds that processors spent on it.
    """
    found = {
        what: count,
        "seconds": seconds,
        f"{what}_per_second": count / seconds,
        "cpu_cores": cpu / seconds,
    }
    return found | ({"cpu_us": cpu / count * 1e6} if count else {})


def percentiles(prefix: str, seconds: Sequence[float] | Seconds, wanted: Sequence[int]) -> Figures:
    """In microseconds, such as `latency_p50_us`; nothing of nothing."""
    if not len(seconds):
        return {}
    values = np.percentile(seconds, wanted) * 1e6
    return {f"{prefix}p{p}_us": float(v) for p, v in zip(wanted, values, strict=True)}


def tail(ascending: Sequence[float] | Seconds, share: float, lost: int = 0) -> float:
    """The smallest value that at most `1 - share` of all exceed: a percentile by nearest rank.

    Args:
        ascending: the values.
        share: of all, such as 0.99.
        lost: further ones that are endless: requests without an answer.

    Returns:
        inf where it is one of the lost, or there is none.
    """
    rank = math.ceil(share * (len(ascending) + lost)) - 1
    return float(ascending[rank]) if 0 <= rank < len(ascending) else math.inf


def spread(values: Iterable[float]) -> Spread:
    """Median, smallest and largest, at five digits."""
    found = sorted(values)
    return rounded({"median": statistics.median(found), "min": found[0], "max": found[-1]})


def spreads(rounds: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    """Figure -> spread over the rounds that have it."""
    names = dict.fromkeys(name for figures in rounds for name in figures)
    return {name: spread(each[name] for each in rounds if name in each) for name in names}


def rounded(figures: Mapping[str, float], digits: int = 5) -> Figures:
    """To so many digits, whole numbers apart."""
    return {
        name: value if isinstance(value, int) else float(f"{value:.{digits}g}")
        for name, value in figures.items()
    }
