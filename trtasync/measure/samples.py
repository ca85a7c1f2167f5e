"""One load applied for some seconds, and the figures of its window."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from trtasync.core.metrics import Statistics, difference
from trtasync.measure.driving import Driver
from trtasync.measure.loads import Closed, Load, Open
from trtasync.measure.statistics import Figures, Seconds, percentiles, rates
from trtasync.measure.window import Span, Window

PERCENTILES = (50, 90, 95, 99)

STAGES = ("queue", "stage", "copy_in", "compute", "copy_out", "deliver")


@dataclass(frozen=True, slots=True)
class Sample:
    """One load in one round.

    Attributes:
        load: the load.
        round: its number, from 1.
        figures: by name; `docs/benchmarking.md` explains them. A figure that was not measured is
            missing.
        batch_sizes: rows in a batch -> number of batches.
        latencies: seconds, sorted.
    """

    load: Load
    round: int
    figures: Figures
    batch_sizes: Mapping[int, int]
    latencies: Seconds


async def take_sample(
    statistics: Callable[[], Statistics],
    driver: Driver,
    load: Load,
    rate: float,
    span: Span,
    number: int,
    rows: int,
) -> Sample:
    """Apply a load.

    Args:
        statistics: what the engine that the driver uses has counted.
        driver: applies the load.
        load: the load.
        rate: requests per second of an open load; ignored for a closed one.
        span: the length of warm-up and window.
        number: the round.
        rows: rows per request.
    """
    window = Window(span, statistics, until_first=isinstance(load, Closed))
    if isinstance(load, Closed):
        seen = await driver.closed(load, window)
    else:
        seen = await driver.open(load.schedule(rate, span.whole, number), window)
    answered = window.answered(seen)
    latencies = answered if isinstance(load, Closed) else window.asked(seen)
    figures = rates("requests", len(answered), window.seconds, window.cpu)
    figures["rows_per_second"] = figures["requests_per_second"] * rows
    if isinstance(load, Open):
        figures["offered_per_second"] = rate
        figures |= _times("late_", seen.late, (99,))
    figures |= _times("latency_", latencies, PERCENTILES)
    figures |= _times("loop_delay_", window.delays, (99,))
    figures |= {"refused": seen.refused, "failed": seen.failed, "missed": seen.missed}
    counts = difference(window.end.counts, window.begin.counts)
    return Sample(
        load, number, figures | of_engine(counts, window.seconds), counts.batch_sizes, latencies
    )


def _times(prefix: str, seconds: Sequence[float] | Seconds, wanted: Sequence[int]) -> Figures:
    """Percentiles, mean and maximum; nothing for no values."""
    found = percentiles(prefix, seconds, wanted)
    if found:
        found[f"{prefix}mean_us"] = math.fsum(seconds) / len(seconds) * 1e6
        found[f"{prefix}max_us"] = float(max(seconds)) * 1e6
    return found


def of_engine(counts: Statistics, seconds: float) -> Figures:
    """Figures that the engine itself counted: stages, batches, streams."""
    found = {
        f"{stage}_us": getattr(counts, stage).mean * 1e6
        for stage in STAGES
        if getattr(counts, stage).count
    }
    if counts.batches:
        found["batch_mean"] = counts.rows / counts.batches
        found["padded_share"] = counts.padded_rows / (counts.rows + counts.padded_rows)
    found["expired"] = counts.expired
    shares = [
        stream.compute / stream.measured * stream.batches / seconds if stream.measured else 0.0
        for stream in counts.streams
    ]
    if shares and any(stream.measured for stream in counts.streams):
        found["busy_share"] = math.fsum(shares) / len(shares)
    return found
