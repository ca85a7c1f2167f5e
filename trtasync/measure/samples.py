"""One load applied for some seconds, and what was seen of it in the window."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import anyio
import numpy as np

from trtasync.core.metrics import Statistics, TimeSummary
from trtasync.engine import Engine
from trtasync.measure.driving import Driver, Seen
from trtasync.measure.loads import Closed, Load, Open, Times

Figures = dict[str, float]

PERCENTILES = (50, 90, 95, 99)

STAGES = ("queue", "stage", "copy_in", "compute", "copy_out", "deliver")


@dataclass(frozen=True, slots=True)
class Sample:
    """One load in one round.

    Attributes:
        load: which.
        round: from 1.
        figures: by name; `docs/benchmarking.md` says what each means. What was not measured is
            missing.
        batch_sizes: rows in a batch -> how often.
        latencies: seconds, sorted.
    """

    load: Load
    round: int
    figures: Figures
    batch_sizes: Mapping[int, int]
    latencies: Times


@dataclass(frozen=True, slots=True)
class Mark:
    """One edge of the window: the clock, the process's CPU seconds, the engine's counts."""

    wall: float
    cpu: float
    counts: Statistics

    @classmethod
    def now(cls, engine: Engine) -> "Mark":
        """Read all three."""
        return cls(time.perf_counter(), time.process_time(), engine.statistics())


@dataclass(frozen=True, slots=True)
class Span:
    """How long a load lasts: seconds before the window, and of it."""

    warm_up: float
    seconds: float

    @property
    def whole(self) -> float:
        """Seconds."""
        return self.warm_up + self.seconds


class Window:
    """Called with what is seen: counts from the end of the warm-up on.

    Attributes:
        marks: its two edges, afterwards.
    """

    def __init__(self, engine: Engine, span: Span):
        self._engine = engine
        self._span = span
        self.marks: list[Mark] = []

    async def __call__(self, seen: Seen) -> None:
        await anyio.sleep(self._span.warm_up)
        self.marks.append(Mark.now(self._engine))
        seen.counting = True
        await anyio.sleep(self._span.seconds)
        seen.counting = False
        self.marks.append(Mark.now(self._engine))


async def take(
    engine: Engine, driver: Driver, load: Load, rate: float, span: Span, number: int, rows: int
) -> Sample:
    """Apply a load.

    Args:
        engine: asked by the driver.
        driver: applies it.
        load: what.
        rate: requests per second of an open load; unused for a closed one.
        span: how long.
        number: of the round.
        rows: of each request.
    """
    window = Window(engine, span)
    if isinstance(load, Closed):
        seen = await driver.closed(load, window)
    else:
        seen = await driver.open(load.schedule(rate, span.whole, number), window)
    before, after = window.marks
    latencies, answered = in_window(load, seen, before.wall, after.wall)
    figures = {"requests": float(answered), "seconds": after.wall - before.wall}
    figures |= _rates(answered, rows, figures["seconds"])
    if isinstance(load, Open):
        figures["offered_per_second"] = rate
        figures |= _percentiles("late_", np.array(seen.late), (99,))
    figures |= _percentiles("latency_", latencies, PERCENTILES)
    figures |= _percentiles("loop_delay_", np.array(seen.beats), (99,))
    cpu = after.cpu - before.cpu
    figures["cpu_cores"] = cpu / figures["seconds"]
    if answered:
        figures["cpu_us"] = cpu / answered * 1e6
    figures |= {"refused": seen.refused, "failed": seen.failed, "missed": seen.missed}
    counts = difference(after.counts, before.counts)
    return Sample(
        load, number, figures | of_engine(counts, figures["seconds"]), counts.batch_sizes, latencies
    )


def _rates(answered: int, rows: int, seconds: float) -> Figures:
    rate = answered / seconds
    return {"requests_per_second": rate, "rows_per_second": rate * rows}


def in_window(load: Load, seen: Seen, begin: float, end: float) -> tuple[Times, int]:
    """(sorted latencies, requests answered within the window).

    The latencies are those of the requests that a closed loop answered in the window, or that were
    due in it (open loop), however late their answers came.
    """
    due, done = np.array(seen.due), np.array(seen.done)
    finished = (done >= begin) & (done < end)
    counted = finished if isinstance(load, Closed) else (due >= begin) & (due < end)
    return np.sort((done - due)[counted]), int(finished.sum())


def _percentiles(prefix: str, seconds: Times, wanted: tuple[int, ...]) -> Figures:
    """In microseconds, with the mean and the largest; nothing of nothing."""
    if not len(seconds):
        return {}
    values = np.percentile(seconds, wanted) * 1e6
    named = {f"{prefix}p{p}_us": float(v) for p, v in zip(wanted, values, strict=True)}
    ends = {f"{prefix}mean_us": float(seconds.mean()), f"{prefix}max_us": float(seconds.max())}
    return named | {name: value * 1e6 for name, value in ends.items()}


def of_engine(counts: Statistics, seconds: float) -> Figures:
    """What the engine itself counted in the window: stages, batches, lanes."""
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
        lane.compute / lane.measured * lane.batches / seconds if lane.measured else 0.0
        for lane in counts.lanes
    ]
    if shares and any(lane.measured for lane in counts.lanes):
        found["busy_share"] = math.fsum(shares) / len(shares)
    return found


def difference(after: Statistics, before: Statistics) -> Statistics:
    """What was counted between two pictures; `queued`, `in_flight` and the like are the later's."""
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
    changed["lanes"] = tuple(
        replace(
            new,
            batches=new.batches - old.batches,
            on_loop=new.on_loop - old.on_loop,
            measured=new.measured - old.measured,
            compute=new.compute - old.compute,
        )
        for new, old in zip(after.lanes, before.lanes, strict=True)
    )
    return replace(after, **changed)
