"""The window within a load in which everything is counted."""

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
"""Seconds between two wake-ups that measure the delay of the loop."""


@dataclass(frozen=True, slots=True)
class Span:
    """The length of a load: the seconds of its warm-up and of its window."""

    warm_up: float
    seconds: float

    @property
    def whole(self) -> float:
        """The sum of both."""
        return self.warm_up + self.seconds


@dataclass(frozen=True, slots=True)
class Mark(Generic[T]):
    """One edge of a window: the clock, the process's CPU seconds, and other counts."""

    wall: float
    cpu: float
    counts: T


def timed(what: str, work: Callable[[], int]) -> Figures:
    """Call `work`, which returns a count, and compute its `rates`."""
    began, cpu = time.perf_counter(), time.process_time()
    count = work()
    return rates(what, count, time.perf_counter() - began, time.process_time() - cpu)


class Window(Generic[T]):
    """Passed to a `Driver`: waits for the warm-up, then for the time in which it counts.

    Attributes:
        begin: the first edge; valid once the window has opened.
        end: the last edge; valid once the window has closed.
        delays: by how many seconds each sleep of a millisecond in the window was too long.
    """

    begin: Mark[T]
    end: Mark[T]

    def __init__(
        self,
        span: Span,
        read: Callable[[], T],
        *,
        delays: bool = True,
        until_first: bool = False,
        to_the_end: bool = False,
    ):
        """Prepare the window, which opens when it is called and the warm-up is over.

        Args:
            span: the length of warm-up and window.
            read: returns the counts at either edge.
            delays: measure how late the loop wakes a sleeping task; this costs about 10 us per
                millisecond.
            until_first: extend the window until a request has ended in it: for closed loops, which
                always have one outstanding.
            to_the_end: the window ends with `close`, called after the load: for loads so short that
                a window within them might see no answer.
        """
        self._span = span
        self._read = read
        self._watches = delays
        self._until_first = until_first
        self._to_the_end = to_the_end
        self.delays: list[float] = []

    async def __call__(self, seen: Seen) -> None:
        if self._span.warm_up:
            await anyio.sleep(self._span.warm_up)
        self.open()
        seen.counting, before = True, seen.ended
        if self._watches:
            await self._watch(self.begin.wall + self._span.seconds)
        else:
            await anyio.sleep(self._span.seconds)
        while self._until_first and seen.ended == before:  # noqa: ASYNC110 - costs no request a call
            await anyio.sleep(BEAT)
        seen.counting = False
        if not self._to_the_end:
            self.close()

    def open(self) -> None:
        """Open the window now."""
        counts = self._read()  # before the clocks, so that it takes no time of the window
        self.begin = Mark(time.perf_counter(), time.process_time(), counts)

    def close(self) -> None:
        """Close the window now."""
        self.end = Mark(time.perf_counter(), time.process_time(), self._read())

    async def _watch(self, end: float) -> None:
        while (left := end - (start := time.perf_counter())) > 0:
            asleep = min(BEAT, left)
            await anyio.sleep(asleep)
            self.delays.append(time.perf_counter() - start - asleep)

    @property
    def seconds(self) -> float:
        """How long it was open."""
        return self.end.wall - self.begin.wall

    @property
    def cpu(self) -> float:
        """CPU seconds of this process while it was open."""
        return self.end.cpu - self.begin.cpu

    def answered(self, seen: Seen) -> Seconds:
        """Latencies of the requests answered in the window, ascending: for closed loops."""
        return self._latencies(seen, seen.done)

    def asked(self, seen: Seen) -> Seconds:
        """Latencies of the requests due in the window, whenever answered: for open loops."""
        return self._latencies(seen, seen.due)

    def _latencies(self, seen: Seen, at: list[float]) -> Seconds:
        when = np.array(at)
        counted = (when >= self.begin.wall) & (when < self.end.wall)
        return np.sort((np.array(seen.done) - np.array(seen.due))[counted])
