"""Loads applied to an engine: a warm-up, then a window in which everything is counted.

The load starts before the window and ends after it, so the window sees neither start nor end. The
latency of a closed loop counts from the call. That of an open loop counts from the moment at which
the request was *due*: a caller that could not ask in time has been waiting too (no coordinated
omission).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import anyio
import anyio.lowlevel

from trtasync.errors import InferenceError, QueueFull
from trtasync.loops import Starter, bare_tasks
from trtasync.measure.loads import Closed
from trtasync.measure.statistics import Seconds

CATCH_UP = 16
"""Requests that a late open loop starts per turn of the event loop. The engine then runs about one
batch per turn, so that further requests would be refused, however fast it is."""

Infer = Callable[[Any], Awaitable[Any]]


class Clock(Protocol):
    """A clock that can be waited for; see `trtasync.measure.pacing.Pacer`."""

    def clock(self) -> float:
        """Seconds."""

    async def until(self, when: float) -> None:
        """Return at the time `when`, or at once if it has passed."""


@dataclass
class Seen:
    """The outcomes of requests, in seconds of the clock.

    Attributes:
        due: when each answered request was called, or due (open loop), including the warm-up.
        done: when its answer arrived, in the same order.
        late: the delay of each request that was due in the window (open loop).
        refused: requests that ended with QueueFull in the window.
        failed: requests that ended with InferenceError in the window.
        missed: requests given up in the window because of their deadline.
        counting: the window is open.
        over: no further requests are to be started.
    """

    due: list[float] = field(default_factory=list)
    done: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    refused: int = 0
    failed: int = 0
    missed: int = 0
    counting: bool = False
    over: bool = False

    @property
    def ended(self) -> int:
        """Requests that have ended, with an answer or without."""
        return len(self.done) + self.refused + self.failed + self.missed


WindowTask = Callable[[Seen], Awaitable[None]]
"""Opens and closes the window (`Seen.counting`); the load ends when it returns."""


class Driver:
    """Applies loads to an `infer` function."""

    def __init__(
        self,
        infer: Infer,
        requests: Sequence[Any],
        time: Clock,
        deadline: float | None = None,
    ):
        """Store the arguments for `closed` and `open`.

        Args:
            infer: the method of an engine.
            requests: used in turn.
            time: the clock.
            deadline: the most seconds that each caller waits; None for no limit.
        """
        self._infer = infer
        self._requests = requests
        self._time = time
        self._deadline = deadline

    async def closed(self, load: Closed, window: WindowTask) -> Seen:
        """Run callers that ask again and again, until `window` returns, and once at least."""

        def begin(start: Starter, seen: Seen) -> None:
            for index in range(load.concurrency):
                start(self._caller(seen, self._requests[index % len(self._requests)]))

        return await _apply(begin, window)

    async def open(self, schedule: Seconds, window: WindowTask) -> Seen:
        """Start requests at the times of the schedule (seconds from now) until `window` returns."""

        def begin(start: Starter, seen: Seen) -> None:
            start(self._arrivals(seen, schedule + self._time.clock(), start))

        return await _apply(begin, window)

    async def _caller(self, seen: Seen, request: Any) -> None:
        clock, infer, deadline = self._time.clock, self._infer, self._deadline
        due, done = seen.due, seen.done
        start = clock()
        while True:
            try:
                if deadline is None:
                    await infer(request)
                else:
                    await self._in_time(request, start)
            except (QueueFull, InferenceError, TimeoutError) as error:
                await _lost(seen, error)
                start = clock()
            else:
                due.append(start)
                start = clock()  # the end of this request, and the start of the next
                done.append(start)
            if seen.over:
                return

    async def _arrivals(self, seen: Seen, schedule: Seconds, start: Starter) -> None:
        time, requests = self._time, self._requests
        for index, due in enumerate(schedule.tolist()):
            if time.clock() < due:
                await time.until(due)
            elif index % CATCH_UP == 0:
                await anyio.lowlevel.checkpoint()
            if seen.over:
                break
            if seen.counting:
                seen.late.append(time.clock() - due)
            start(self._one(seen, requests[index % len(requests)], due))

    async def _one(self, seen: Seen, request: Any, due: float) -> None:
        try:
            if self._deadline is None:
                await self._infer(request)
            else:
                await self._in_time(request, due)
        except (QueueFull, InferenceError, TimeoutError) as error:
            await _lost(seen, error)
            return
        seen.due.append(due)
        seen.done.append(self._time.clock())

    async def _in_time(self, request: Any, due: float) -> None:
        assert self._deadline is not None
        left = self._deadline - (self._time.clock() - due)
        if left <= 0:
            raise TimeoutError  # the deadline passed before it could ask
        with anyio.fail_after(left):
            await self._infer(request)


async def _apply(begin: Callable[[Starter, Seen], None], window: WindowTask) -> Seen:
    """Start a load, let the window pass, and wait until the last request has ended."""
    seen = Seen()
    async with bare_tasks() as start:
        begin(start, seen)
        try:
            await window(seen)
        finally:
            seen.over = True
    return seen


async def _lost(seen: Seen, error: Exception) -> None:
    if seen.counting:
        seen.refused += isinstance(error, QueueFull)
        seen.failed += isinstance(error, InferenceError)
        seen.missed += isinstance(error, TimeoutError)
    await anyio.lowlevel.checkpoint()  # `QueueFull` is raised at once, so let others run
