"""Statistics of an engine as plain data, and back."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from trtasync.core.metrics import BOUNDS, Statistics, StreamStatistics, TimeSummary

_TIMES = ("latency", "queue", "stage", "copy_in", "compute", "copy_out", "deliver")


def statistics_to_plain(statistics: Statistics) -> dict[str, Any]:
    """What `statistics_from_plain` makes the same of. Edges of buckets are known to both sides."""
    plain = asdict(statistics)
    for name in _TIMES:
        del plain[name]["bounds"]
    plain["batch_sizes"] = sorted(statistics.batch_sizes.items())  # JSON has texts for keys only
    return plain


def statistics_from_plain(plain: Mapping[str, Any]) -> Statistics:
    """The statistics again.

    Raises:
        TypeError, ValueError, KeyError: they are another version's.
    """
    given = dict(plain)
    for name in _TIMES:
        times = given[name]
        given[name] = TimeSummary(times["count"], times["total"], BOUNDS, tuple(times["counts"]))
    given["batch_sizes"] = {int(size): times for size, times in given["batch_sizes"]}
    given["streams"] = tuple(StreamStatistics(**stream) for stream in given["streams"])
    return Statistics(**given)
