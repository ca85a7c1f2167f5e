"""The learned cost curve t(batch) of one group."""

KNEE_SLACK = 1.1
"""A batch size is worth waiting for no longer once its time per row is within this of the best."""

OUTLIER = 4.0
"""A sample counts as at most this many times the estimate: one pause must not look like a trend,
a real change is followed within a few batches all the same."""

GAIN = 0.25
"""Weight of a new sample."""

WARMING = 3
"""Samples of which the least is taken: the first runs of a shape allocate and compile."""


def bucket(rows: int) -> int:
    """The power of two at or above `rows`: sizes whose times are learned together."""
    return 1 << (rows - 1).bit_length()


class _Estimate:
    __slots__ = ("at", "samples", "seconds")

    def __init__(self, seconds: float, at: float):
        self.seconds = seconds
        self.samples = 1
        self.at = at


class CostCurve:
    """Seconds of a batch by its size, from measured runs."""

    __slots__ = ("_estimates", "_knee")

    def __init__(self) -> None:
        self._estimates: dict[int, _Estimate] = {}
        self._knee = 1

    def learn(self, rows: int, seconds: float, now: float) -> None:
        """A batch of `rows` rows took `seconds`."""
        size = bucket(rows)
        known = self._estimates.get(size)
        if known is None:
            self._estimates[size] = _Estimate(seconds, now)
        elif known.samples < WARMING:
            known.seconds = min(known.seconds, seconds)
            known.samples += 1
            known.at = now
        else:
            # a time too short for the clock (0.0) bounds nothing
            counted = min(seconds, OUTLIER * known.seconds or seconds)
            known.seconds += GAIN * (counted - known.seconds)
            known.at = now
        self._knee = 0

    def seconds(self, rows: int) -> float:
        """What a batch of `rows` takes, never more than was seen: 0.0 when nothing is known.

        Between known sizes the smaller one's time counts, so that nothing is dropped on a guess.
        """
        size = bucket(rows)
        known = self._estimates.get(size)
        if known is not None:
            return known.seconds
        smaller = [key for key in self._estimates if key < size]
        return self._estimates[max(smaller)].seconds if smaller else 0.0

    def bound(self, rows: int) -> float | None:
        """What a batch of `rows` takes at most by what is known; None when nothing says so."""
        size = bucket(rows)
        known = self._estimates.get(size)
        if known is not None:
            return known.seconds
        larger = [key for key in self._estimates if key > size]
        return self._estimates[min(larger)].seconds if larger else None

    def fresh(self, rows: int, since: float) -> bool:
        """The estimate for this size was measured at or after `since`."""
        known = self._estimates.get(bucket(rows))
        return known is not None and known.at >= since

    @property
    def knee(self) -> int:
        """The smallest known size whose time per row is nearly the best; 1 if nothing is known."""
        if not self._knee:
            best = min(known.seconds / size for size, known in self._estimates.items())
            self._knee = min(
                size
                for size, known in self._estimates.items()
                if known.seconds / size <= KNEE_SLACK * best
            )
        return self._knee
