"""What was counted when somebody looked, so that the next look can tell how it goes on."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from trtasync.core.metrics import Statistics, difference
from trtasync.server.survey import Surveyed

LOOKS = 90
"""That are remembered of each model."""

APART = 0.5
"""Seconds between two that are: several people may look at once."""

RECENT = 10.0
"""Seconds that rates and times are told of."""


class Look(NamedTuple):
    """What was counted at a time, in seconds."""

    time: float
    counted: Statistics


class Recent(NamedTuple):
    """What happened lately.

    Attributes:
        seconds: for how long it happened; None where that is not known yet: since the beginning.
        counted: in that time; what waits and runs is that of now.
    """

    seconds: float | None
    counted: Statistics

    def rate(self, count: float) -> float | None:
        """Per second; None where that is not known yet."""
        return None if self.seconds is None else count / self.seconds


class History:
    """The latest looks at all models."""

    def __init__(self) -> None:
        """Nobody has looked yet."""
        self._looks: dict[tuple[str, str], deque[Look]] = {}

    def add(self, time: float, surveyed: Iterable[Surveyed]) -> None:
        """Somebody looks. A model that is not there any more, or begins anew, has no past."""
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
        """At a model, the oldest first."""
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
    """The newest, of one at `time`: only the newest is kept if it is too near to the one before."""
    newest = looks[-1].time
    return time <= newest or (len(looks) > 1 and newest - looks[-2].time < APART)


def _goes_on(before: Statistics, after: Statistics) -> bool:
    """Nothing became less: they are counts of one engine."""
    pairs = [
        (before.requests, after.requests),
        (before.batches, after.batches),
        *zip(before.latency.counts, after.latency.counts, strict=True),
        *((often, after.batch_sizes.get(size, 0)) for size, often in before.batch_sizes.items()),
    ]
    return len(before.streams) == len(after.streams) and all(a <= b for a, b in pairs)
