"""How busy an engine is, by its own measure: the rows it had, and those that it can do."""

from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple

from trtasync.core.metrics import Statistics, StreamStatistics, difference
from trtasync.engine import Engine, inside
from trtasync.scheduler.cost import CostCurve


class Load(NamedTuple):
    """Of one engine, since it was last looked at.

    Attributes:
        capacity: rows per second that it does at most by what was measured; 0.0 if nothing was.
        utilisation: the part of that which it did; 0.0 if nothing was measured.
        wait: seconds that the rows which wait now take.
    """

    capacity: float
    utilisation: float
    wait: float


class Gauge:
    """Tells the load of an engine from one look to the next. On the engine's loop."""

    def __init__(self, engine: Engine):
        """Count from now on."""
        self._engine = engine
        self._inside = inside(engine)
        self._before: Statistics = engine.statistics()
        self._at = self._inside.core.loop.now()

    def read(self) -> Load:
        """The load since the last look."""
        now, after = self._inside.core.loop.now(), self._engine.statistics()
        passed = now - self._at
        rows = difference(after, self._before).rows
        self._before, self._at = after, now
        policy = self._inside.core.policy
        curves = [queue.cost for queue in self._inside.reader.queues]
        capacity = sum(
            rows_per_second(curves, policy.largest, streams, now)
            for streams in streams_by_device(after.streams)
        )
        if not capacity or passed <= 0.0:
            return Load(capacity, 0.0, 0.0)
        return Load(capacity, rows / passed / capacity, after.queued / capacity)


def streams_by_device(streams: Iterable[StreamStatistics]) -> Collection[int]:
    """How many each device has that can compute."""
    return Counter(stream.device for stream in streams if stream.alive).values()


def rows_per_second(curves: Iterable[CostCurve], largest: int, streams: int, now: float) -> float:
    """What a device does at most, if all row shapes that it has seen are asked for alike.

    Args:
        curves: of each row shape.
        largest: rows of the largest batch.
        streams: of the device.
        now: the time.

    Returns:
        rows per second, 0.0 if none was measured.
    """
    seconds = [each for curve in curves if (each := _seconds_per_row(curve, largest, streams, now))]
    return len(seconds) / sum(seconds) if seconds else 0.0


def _seconds_per_row(curve: CostCurve, largest: int, streams: int, now: float) -> float:
    """At the size where it is least, with all streams at work; 0.0 for nothing known."""
    least, size = 0.0, 1
    while size < 2 * largest:
        if curve.known(size):
            rows = min(size, largest)
            # the part of a batch that takes turns with those of other streams is not gained
            beside = 1.0 + (streams - 1) * (1.0 - curve.contention(size, now))
            each = curve.seconds(size) / (rows * beside)
            least = min(least or each, each)
        size *= 2
    return least
