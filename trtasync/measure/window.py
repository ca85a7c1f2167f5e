"""The window within a load in which everything is counted: neither a beginning nor an end."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import anyio
import numpy as np

from trtasync.measure.driving import Seen
from trtasync.measure.statistics import Figures, Seconds, rates

T = TypeVar("T")

BEAT = 0.001
"""Seconds between two wake-ups that tell how late the loop is."""


@dataclass(frozen=True, slots=True)
class Span:
    """How long a load lasts: seconds before the window, and of it."""

    warm_up: float
    seconds: float

    @property
    def whole(self) -> float:
        """Seconds."""
        return self.warm_up + self.seconds


@dataclass(frozen=True, slots=True)
class Mark(Generic[T]):
    """One edge of a window: the clock, the process's CPU seconds, whatever else is counted."""

    wall: float
    cpu: float
    counts: T


def timed(what: str, work: Callable[[], int]) -> Figures:
    """`rates` of work that says how much it did."""
    began, cpu = time.perf_counter(), time.process_time()
    count = work()
    return rates(what, count, time.perf_counter() - began, time.process_time() - cpu)


class Window(Generic[T]):
    """To be given to a `Driver`: lets a warm-up pass, then the time in which is counted.

    Attributes:
        begin: its first edge, once the load has ended.
        end: its last edge.
        delays: by how much each sleep of a millisecond in it was too long; seconds.
    """

    begin: Mark[T]
    end: Mark[T]

    def __init__(
        self,
        span: Span,
        read: Callable[[], T],
        *,
        delays: bool = True,
        to_the_end: bool = False,
    ):
        """Prepare it; it opens once it is called and the warm-up is over.

        Args:
            span: how long.
            read: gives the counts at either edge.
            delays: look how late the loop wakes a task that slept; that costs some 10 us a
                millisecond.
            to_the_end: it ends with `close`, which is called after the load: for loads so short
                that a window within them might see no answer.
        """
        self._span = span
        self._read = read
        self._watches = delays
        self._to_the_end = to_the_end
        self.delays: list[float] = []

    async def __call__(self, seen: Seen) -> None:
        if self._span.warm_up:
            await anyio.sleep(self._span.warm_up)
        self.open()
        seen.counting = True
        if self._watches:
            await self._watch(self.begin.wall + self._span.seconds)
        else:
            await anyio.sleep(self._span.seconds)
        seen.counting = False
        if not self._to_the_end:
            self.close()

    def open(self) -> None:
        """Let it begin now."""
        counts = self._read()  # before the clocks, so that it takes no time of the window's
        self.begin = Mark(time.perf_counter(), time.process_time(), counts)

    def close(self) -> None:
        """Let it end now."""
        self.end = Mark(time.perf_counter(), time.process_time(), self._read())

    async def _watch(self, end: float) -> None:
        while (left := end - (start := time.perf_counter())) > 0:
            asleep = min(BEAT, left)
            await anyio.sleep(asleep)
            self.delays.append(time.perf_counter() - start - asleep)

    @property
    def seconds(self) -> float:
        """It was open."""
        return self.end.wall - self.begin.wall

    @property
    def cpu(self) -> float:
        """Seconds that this process used meanwhile."""
        return self.end.cpu - self.begin.cpu

    def answered(self, seen: Seen) -> Seconds:
        """Latencies of the requests that were answered in it, ascending: what a closed loop did."""
        return self._latencies(seen, seen.done)

    def asked(self, seen: Seen) -> Seconds:
        """Latencies of those that were due in it, however late their answers came: an open
        loop's."""
        return self._latencies(seen, seen.due)

    def _latencies(self, seen: Seen, at: list[float]) -> Seconds:
        when = np.array(at)
        counted = (when >= self.begin.wall) & (when < self.end.wall)
        return np.sort((np.array(seen.done) - np.array(seen.due))[counted])
