"""The counts at earlier looks, from which the next look tells rates and recent times."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from trtasync.core.metrics import Statistics, difference
from trtasync.server.survey import Surveyed

LOOKS = 90
"""Most looks that are remembered of each model."""

APART = 0.5
"""Least seconds between two remembered looks: several people may look at once."""

RECENT = 10.0
"""Seconds that rates and times cover."""


class Look(NamedTuple):
    """The counts at a time, in seconds."""

    time: float
    counted: Statistics


class Recent(NamedTuple):
    """What happened lately.

    Attributes:
        seconds: the time that this covers; None if unknown, after a single look.
        counted: the counts of that time, or, if it is unknown, since the engine was opened; gauges
            such as `queued` are of now.
    """

    seconds: float | None
    counted: Statistics

    def rate(self, count: float) -> float | None:
        """`count` per second; None if the time is unknown."""
        return None if self.seconds is None else count / self.seconds


class History:
    """The latest looks at all models."""

    def __init__(self) -> None:
        """Start without looks."""
        self._looks: dict[tuple[str, str], deque[Look]] = {}

    def add(self, time: float, surveyed: Iterable[Surveyed]) -> None:
        """Add a look. A model that is gone, or counts anew from zero, loses its past."""
        before, self._looks = self._looks, {}
        for each in surveyed:
            counted, model = each.statistics, (each.name, each.version)
            if counted is None:
                continue
            looks = before.get(model, deque(maxlen=LOOKS))
            if looks and not _goes_on(looks[-1].counted, counted):
                looks.clear()
            while looks and _is_in_the_way(looks, time):
                looks.pop()
            looks.append(Look(time, counted))
            self._looks[model] = looks

    def looks(self, name: str, version: str) -> list[Look]:
        """The looks at a model, oldest first."""
        return list(self._looks[name, version])

    def recent(self, name: str, version: str) -> Recent:
        """What a model did in the last seconds, up to the newest look."""
        looks = self._looks[name, version]
        last = looks[-1]
        first = next(look for look in looks if last.time - look.time <= RECENT)
        if first is last:
            if len(looks) == 1:
                return Recent(None, last.counted)
            first = looks[-2]
        return Recent(last.time - first.time, difference(last.counted, first.counted))


def _is_in_the_way(looks: Sequence[Look], time: float) -> bool:
    """Whether a look at `time` replaces the newest one, which is too near to the one before it, or
    is not older."""
    newest = looks[-1].time
    return time <= newest or (len(looks) > 1 and newest - looks[-2].time < APART)


def _goes_on(before: Statistics, after: Statistics) -> bool:
    """Whether no count became less, so that they are of one engine."""
    pairs = [
        (before.requests, after.requests),
        (before.batches, after.batches),
        *zip(before.latency.counts, after.latency.counts, strict=True),
        *((often, after.batch_sizes.get(size, 0)) for size, often in before.batch_sizes.items()),
    ]
    return len(before.streams) == len(after.streams) and all(a <= b for a, b in pairs)
