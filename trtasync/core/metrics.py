"""What an engine counts: cheap to add to, frozen when read."""

import math
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, fields, replace
from typing import Any

_R10 = ("1", "1.25", "1.6", "2", "2.5", "3.15", "4", "5", "6.3", "8")
BOUNDS: tuple[float, ...] = (
    *(float(f"{number}e{decade}") for decade in range(-6, 2) for number in _R10),
    100.0,
)
"""Upper edges of a histogram's buckets, in seconds: the preferred numbers R10 (ISO 3). They double
every three steps, so coarser histograms can be made from them."""


@dataclass(frozen=True, slots=True)
class TimeSummary:
    """Times of one kind, in seconds.

    Attributes:
        count: how many were measured.
        total: their sum.
        bounds: upper edges of the histogram's buckets, ten to the decade from 1 us to 100 s.
        counts: per bucket; the last one holds what is longer than the last edge.
    """

    count: int
    total: float
    bounds: tuple[float, ...]
    counts: tuple[int, ...]

    @property
    def mean(self) -> float:
        """Seconds; nan when nothing was measured."""
        return self.total / self.count if self.count else math.nan

    def quantile(self, q: float) -> float:
        """The upper edge of the bucket that holds quantile `q` (0 to 1), at most 28 % too high.

        Returns nan when nothing was measured, inf past the last edge.
        """
        if not self.count:
            return math.nan
        rank, seen = q * self.count, 0
        for bound, number in zip((*self.bounds, math.inf), self.counts, strict=True):
            seen += number
            if number and seen >= rank:
                return bound
        return math.inf  # pragma: no cover - the counts add up to count


class TimeHistogram:
    """The running count of times of one kind.

    Attributes:
        counts: per bucket of `BOUNDS`; the last one holds what is longer.
        total: seconds, all together.
    """

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts: list[int] = [0] * (len(BOUNDS) + 1)
        self.total: float = 0.0

    def add(self, seconds: float, times: int = 1) -> None:
        """Count `seconds`, `times` times."""
        self.counts[bisect_left(BOUNDS, seconds)] += times
        self.total += seconds * times

    def snapshot(self) -> TimeSummary:
        """A frozen copy."""
        return TimeSummary(sum(self.counts), self.total, BOUNDS, tuple(self.counts))


@dataclass(frozen=True, slots=True)
class StreamStatistics:
    """One stream.

    Attributes:
        device: index of its device (0 on a CPU).
        alive: False once its device or worker died.
        running: batches in flight on it now.
        batches: batches it finished.
        on_loop: of these, run on the event loop without a thread hop.
        measured: of these, batches whose times were taken (on a GPU a sample of the short ones).
        compute: seconds that the measured ones computed, all together.
        oldest: seconds since the oldest batch in flight was launched; 0.0 if there is none.
    """

    device: int
    alive: bool
    running: int
    batches: int
    on_loop: int
    measured: int
    compute: float
    oldest: float


@dataclass(frozen=True, slots=True)
class Statistics:
    """A snapshot of an engine's counters, as plain data.

    Attributes:
        queued: rows waiting or forming a batch.
        in_flight: rows running.
        requests: requests accepted so far.
        answered: requests answered.
        failed: requests that got an InferenceError or DeviceLost.
        cancelled: requests whose caller was cancelled before the answer.
        rejected: requests refused with QueueFull.
        displaced: requests accepted, and then refused with QueueFull for a more urgent one.
        expired: requests not computed because they could not make their caller's deadline.
        rows: rows computed (Triton: inference_count).
        batches: batches computed (Triton: execution_count).
        padded_rows: rows computed only to fill up to an allowed batch size.
        retried: batches that failed and were run again in halves.
        batch_sizes: rows in a batch -> how often.
        latency: from `infer` to the end of its batch, per request and chunk of a split request.
        queue: from `infer` to the launch of its batch, likewise.
        stage: copying one row into its slot, sampled: the first row of every eighth batch.
        copy_in: host to device, per batch (0 on a CPU).
        compute: the model's run, per batch.
        copy_out: device to host, per batch (0 on a CPU).
        deliver: handing a batch's answers out, per batch.
        streams: one entry per stream, of all devices.
    """

    queued: int
    in_flight: int
    requests: int
    answered: int
    failed: int
    cancelled: int
    rejected: int
    displaced: int
    expired: int
    rows: int
    batches: int
    padded_rows: int
    retried: int
    batch_sizes: dict[int, int]
    latency: TimeSummary
    queue: TimeSummary
    stage: TimeSummary
    copy_in: TimeSummary
    compute: TimeSummary
    copy_out: TimeSummary
    deliver: TimeSummary
    streams: tuple[StreamStatistics, ...]


def difference(after: Statistics, before: Statistics) -> Statistics:
    """Subtract two snapshots; gauges such as `queued` and `in_flight` are taken from `after`."""
    changed: dict[str, Any] = {}
    for each in fields(Statistics):
        new, old = getattr(after, each.name), getattr(before, each.name)
        if isinstance(new, TimeSummary):
            counts = tuple(n - o for n, o in zip(new.counts, old.counts, strict=True))
            changed[each.name] = replace(
                new, count=new.count - old.count, total=new.total - old.total, counts=counts
            )
        elif isinstance(new, int) and each.name not in ("queued", "in_flight"):
            changed[each.name] = new - old
    changed["batch_sizes"] = {
        size: count - before.batch_sizes.get(size, 0)
        for size, count in after.batch_sizes.items()
        if count > before.batch_sizes.get(size, 0)
    }
    changed["streams"] = tuple(
        replace(
            new,
            batches=new.batches - old.batches,
            on_loop=new.on_loop - old.on_loop,
            measured=new.measured - old.measured,
            compute=new.compute - old.compute,
        )
        for new, old in zip(after.streams, before.streams, strict=True)
    )
    return replace(after, **changed)


class Meter:
    """The running counts behind `Statistics`, most of which change once a batch."""

    __slots__ = (
        "answered",
        "batch_sizes",
        "cancelled",
        "compute",
        "copy_in",
        "copy_out",
        "deliver",
        "displaced",
        "failed",
        "latency",
        "padded_rows",
        "queue",
        "retried",
        "stage",
    )

    def __init__(self) -> None:
        self.answered: int = 0
        self.failed: int = 0
        self.cancelled: int = 0
        self.displaced: int = 0
        self.padded_rows: int = 0
        self.retried: int = 0
        self.batch_sizes: Counter[int] = Counter()
        self.latency: TimeHistogram = TimeHistogram()
        self.queue: TimeHistogram = TimeHistogram()
        self.stage: TimeHistogram = TimeHistogram()
        self.copy_in: TimeHistogram = TimeHistogram()
        self.compute: TimeHistogram = TimeHistogram()
        self.copy_out: TimeHistogram = TimeHistogram()
        self.deliver: TimeHistogram = TimeHistogram()

    def snapshot(
        self,
        queued: int,
        in_flight: int,
        waiting: int,
        rejected: int,
        expired: int,
        streams: tuple[StreamStatistics, ...],
    ) -> Statistics:
        """Freeze the counts, with what only the engine knows (waiting: requests not yet ended)."""
        sizes = dict(sorted(self.batch_sizes.items()))
        return Statistics(
            queued=queued,
            in_flight=in_flight,
            requests=self.answered + self.failed + self.cancelled + self.displaced + waiting,
            answered=self.answered,
            failed=self.failed,
            cancelled=self.cancelled,
            rejected=rejected,
            displaced=self.displaced,
            expired=expired,
            rows=sum(size * times for size, times in sizes.items()),
            batches=sum(sizes.values()),
            padded_rows=self.padded_rows,
            retried=self.retried,
            batch_sizes=sizes,
            latency=self.latency.snapshot(),
            queue=self.queue.snapshot(),
            stage=self.stage.snapshot(),
            copy_in=self.copy_in.snapshot(),
            compute=self.compute.snapshot(),
            copy_out=self.copy_out.snapshot(),
            deliver=self.deliver.snapshot(),
            streams=streams,
        )
