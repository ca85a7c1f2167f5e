"""An engine's statistics as plain data and back, and how to query them from a host."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trtasync.core.metrics import BOUNDS, Statistics, StreamStatistics, TimeSummary
from trtasync.errors import BackendUnavailable
from trtasync.shared.joining import Line, hello
from trtasync.shared.records import Op

PATIENCE = 1.0
"""Seconds that a host may take to tell: the event loop stands still meanwhile."""

_TIMES = ("latency", "queue", "stage", "copy_in", "compute", "copy_out", "deliver")


def statistics_to_plain(statistics: Statistics) -> dict[str, Any]:
    """The inverse of `statistics_from_plain`. Bucket bounds are known to both sides."""
    plain = asdict(statistics)
    for name in _TIMES:
        del plain[name]["bounds"]
    return plain


def statistics_from_plain(plain: Mapping[str, Any]) -> Statistics:
    """The inverse of `statistics_to_plain`.

    Raises:
        TypeError, ValueError, KeyError: they are another version's.
    """
    given = dict(plain)
    for name in _TIMES:
        times = given[name]
        given[name] = TimeSummary(times["count"], times["total"], BOUNDS, tuple(times["counts"]))
    # JSON keys are always strings
    given["batch_sizes"] = {int(size): times for size, times in given["batch_sizes"].items()}
    given["streams"] = tuple(StreamStatistics(**stream) for stream in given["streams"])
    return Statistics(**given)


def ask(path: Path) -> dict[str, Any]:
    """Query what a host reports about itself, its models and its clients; blocks.

    Raises:
        BackendUnavailable: there is none, or it does not answer in time.
    """
    with closing(Line(path, PATIENCE)) as line:
        line.greet(hello(observer=True))
        line.say(Op.ASK)
        return line.hear(Op.TOLD)


def ask_statistics(path: Path, model: str) -> Statistics:
    """The statistics of one model of a host; see `ask`."""
    told = ask(path)
    try:
        return statistics_from_plain(told["models"][model])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BackendUnavailable(
            f"the engine's process at {path} tells nothing of {model!r} that this version "
            f"understands: {error!r}."
        ) from error
