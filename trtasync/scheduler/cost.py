"""The learned cost curve t(batch) of one queue."""

import math

OUTLIER = 4.0
"""A sample counts as at most this many times the estimate: one pause must not look like a trend,
but a real change is still followed within a few batches."""

GAIN = 0.25
"""Weight of a new sample."""

WARMING = 3
"""The least of this many first samples is taken: the first runs of a shape allocate and compile."""


def bucket(rows: int) -> int:
    """The power of two at or above `rows`: sizes that share an estimate."""
    return 1 << (rows - 1).bit_length()


ALONE, BESIDE = 0.9, 0.75
"""A batch ran alone when its fair share of the device was at least this part of its time, and
beside others when it was at most that part. What lies between says little."""

UNKNOWN_CONTENTION = 0.5
"""The contention assumed until it is measured: one batch may run beside another, to measure it."""

UNTRIED = 1.0
"""The contention assumed until the time alone is known. Batches that are never alone could not be
measured, and would stay together although they only take turns."""

TRUST = 1.0
"""Seconds for which a measured time may leave requests uncomputed, and a measured contention keep
batches apart. After that it is measured anew, or nothing would ever correct a single slow run."""


ALIKE = 2.0
"""A time within this factor of the estimate bears it out."""


class _Estimate:
    __slots__ = (
        "alone",
        "at",
        "contended_at",
        "contention",
        "runs_alone",
        "samples",
        "seconds",
        "trust",
    )

    def __init__(self, seconds: float, at: float):
        self.seconds = seconds
        self.samples = 1
        self.at = at
        self.trust = TRUST
        self.alone = 0.0
        self.runs_alone = 0
        self.contention = UNKNOWN_CONTENTION
        self.contended_at = -math.inf

    def learn_alone(self, elapsed: float) -> None:
        """Learn the time of a run alone, as `CostCurve.learn` does for all runs."""
        self.runs_alone += 1
        if self.runs_alone <= WARMING:
            self.alone = min(self.alone or elapsed, elapsed)
            return
        counted = min(elapsed, OUTLIER * self.alone or elapsed)
        self.alone += GAIN * (counted - self.alone)


class CostCurve:
    """The seconds that a batch takes, by its size, learned from measured runs."""

    __slots__ = ("_contended_at", "_estimates", "_excess")

    def __init__(self) -> None:
        self._estimates: dict[int, _Estimate] = {}
        self._excess = 0.0
        self._contended_at = -math.inf

    def learn(self, rows: int, seconds: float, now: float) -> None:
        """Learn that a batch of `rows` rows took `seconds`."""
        size = 1 << (rows - 1).bit_length()  # `bucket`, inlined here and below
        known = self._estimates.get(size)
        expected = self._expected(size, seconds) if known is None else known.seconds
        excess = seconds - expected if seconds > expected else 0.0
        if excess >= self._excess:
            self._excess = excess
        else:
            self._excess += GAIN * (excess - self._excess)
        if known is None:
            self._estimates[size] = _Estimate(seconds, now)
            return
        if not known.seconds / ALIKE <= seconds <= ALIKE * known.seconds:
            for estimate in self._estimates.values():
                estimate.trust = TRUST  # times have changed, perhaps those of other sizes too
        elif now - known.at > known.trust:
            known.trust = 2.0 * (now - known.at)
        if known.samples < WARMING:
            known.seconds = min(known.seconds, seconds)
            known.samples += 1
            known.at = now
        else:
            # a time too short for the clock (0.0) is no bound
            counted = min(seconds, OUTLIER * known.seconds or seconds)
            known.seconds += GAIN * (counted - known.seconds)
            known.at = now

    def learn_contention(self, rows: int, elapsed: float, share: float, now: float) -> None:
        """Learn how much a batch of `rows` rows and those beside it slowed each other down.

        Args:
            rows: the number of rows run.
            elapsed: seconds from its beginning to its end.
            share: seconds of the device that it would have had if it had shared all of its time
                equally with the batches beside it.
            now: the time.

        Part of a batch overlaps with others (copies, launches, kernels that leave most of the
        device idle), the rest takes turns. If the fraction `c` takes turns, a batch that needs
        `alone` is done after `alone + c (elapsed - share)`.
        """
        known = self._estimates.get(bucket(rows))
        if known is None or elapsed <= 0.0:
            return
        if share >= ALONE * elapsed:
            known.learn_alone(elapsed)
        elif known.alone and share <= BESIDE * elapsed:
            sample = min(1.0, max(0.0, (elapsed - known.alone) / (elapsed - share)))
            fresh = now - known.contended_at < TRUST
            before = known.contention if fresh else sample
            known.contention = before + GAIN * (sample - before)
            known.contended_at = self._contended_at = now

    def contention(self, rows: int, now: float) -> float:
        """The fraction of a batch's time in which it takes turns with others on its device, 0 to 1.

        A size not measured recently is assumed to be like the nearest one that was.
        """
        size, since = 1 << (rows - 1).bit_length(), now - TRUST
        known = self._estimates.get(size)
        if self._contended_at <= since:  # nearly always, unless batches overlap
            return UNKNOWN_CONTENTION if known is not None and known.alone else UNTRIED
        if known is None or known.contended_at <= since:
            lately = [key for key, known in self._estimates.items() if known.contended_at > since]
            known = self._estimates[min(lately, key=lambda key: max(key, size) / min(key, size))]
        return known.contention

    def seconds(self, rows: int) -> float:
        """The seconds of a batch of `rows`, never more than was observed; 0.0 if nothing is known.

        Between known sizes, the smaller one's time is used, so that nothing is dropped on a guess.
        """
        size = bucket(rows)
        known = self._estimates.get(size)
        if known is not None:
            return known.seconds
        smaller = [key for key in self._estimates if key < size]
        return self._estimates[max(smaller)].seconds if smaller else 0.0

    def bound(self, rows: int) -> float | None:
        """An upper bound for a batch of `rows`, from what is known; None if there is none.

        A run that takes longer than expected may be the first of many, of any size: its excess is
        added at once, to all sizes, and decays with the runs that follow.
        """
        size = 1 << (rows - 1).bit_length()
        known = self._estimates.get(size)
        if known is not None:
            return known.seconds + self._excess
        larger = [key for key in self._estimates if key > size]
        return self._estimates[min(larger)].seconds + self._excess if larger else None

    def _expected(self, size: int, otherwise: float) -> float:
        """The most that a run of an unmeasured size should take: the time of a larger size, or that
        of a smaller one scaled up."""
        if not self._estimates:
            return otherwise
        larger = [key for key in self._estimates if key > size]
        if larger:
            return self._estimates[min(larger)].seconds
        largest = max(self._estimates)
        return self._estimates[largest].seconds * size / largest

    def known(self, rows: int) -> bool:
        """Whether a batch of this size was measured."""
        return bucket(rows) in self._estimates

    def believed(self, rows: int, now: float) -> float:
        """A lower bound for a batch of `rows`, from recent measurements; 0.0 if there are none.

        Recent means within a second, or within twice the age at which the time was once confirmed.
        """
        size = bucket(rows)
        while size:
            known = self._estimates.get(size)
            if known is not None and now - known.at <= known.trust:
                return known.seconds
            size >>= 1
        return 0.0

    def fresh(self, rows: int, since: float) -> bool:
        """Whether the estimate for this size was measured at or after `since`."""
        known = self._estimates.get(bucket(rows))
        return known is not None and known.at >= since
