"""Loads applied to an engine: a warm-up, then a window in which everything is counted.

The load goes on unbroken from before the window to after it, so nothing in it is a beginning or an
end. A closed loop's latency counts from the call. An open loop's counts from the moment at which
the request was *due*: a caller that was kept from asking has waited all the same (no coordinated
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
"""Requests that an open loop which has fallen behind starts per turn of the event loop. The engine
runs about one batch a turn then, so more would be refused however fast the engine is."""

Infer = Callable[[Any], Awaitable[Any]]


class Clock(Protocol):
    """What time it is, and waiting for a time; see `trtasync.measure.pacing.Pacer`."""

    def clock(self) -> float:
        """Seconds."""

    async def until(self, when: float) -> None:
        """Return at `when`, or at once if that is past."""


@dataclass
class Seen:
    """What became of the requests. Seconds of the clock.

    Attributes:
        due: when each answered one was called, or due (open loop), warm-up and all.
        done: when its answer was there, in the same order.
        late: by how much those started too late that became due in the window (open loop).
        refused: QueueFull in the window.
        failed: InferenceError in the window.
        missed: given up in the window, for the deadline.
        counting: the window is open.
        over: no further requests.
    """

    due: list[float] = field(default_factory=list)
    done: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    refused: int = 0
    failed: int = 0
    missed: int = 0
    counting: bool = False
    over: bool = False


WindowTask = Callable[[Seen], Awaitable[None]]
"""Opens and shuts the window (`Seen.counting`); the load ends when it returns."""


class Driver:
    """Applies loads to one `infer`."""

    def __init__(
        self,
        infer: Infer,
        requests: Sequence[Any],
        time: Clock,
        deadline: float | None = None,
    ):
        """Prepare to ask; `closed` and `open` do.

        Args:
            infer: an engine's.
            requests: taken in turn.
            time: the clock.
            deadline: seconds that each caller waits at most; for ever without one.
        """
        self._infer = infer
        self._requests = requests
        self._time = time
        self._deadline = deadline

    async def closed(self, load: Closed, window: WindowTask) -> Seen:
        """Callers that ask again and again, for as long as `window` takes."""

        def begin(start: Starter, seen: Seen) -> None:
            for index in range(load.concurrency):
                start(self._caller(seen, self._requests[index % len(self._requests)]))

        return await _apply(begin, window)

    async def open(self, schedule: Seconds, window: WindowTask) -> Seen:
        """One request at each time of the schedule (seconds from now), for as long as `window`."""

        def begin(start: Starter, seen: Seen) -> None:
            start(self._arrivals(seen, schedule + self._time.clock(), start))

        return await _apply(begin, window)

    async def _caller(self, seen: Seen, request: Any) -> None:
        clock, infer, deadline = self._time.clock, self._infer, self._deadline
        due, done = seen.due, seen.done
        start = clock()
        while not seen.over:
            try:
                if deadline is None:
                    await infer(request)
                else:
                    await self._in_time(request, start)
            except (QueueFull, InferenceError, TimeoutError) as error:
                await _lost(seen, error)
                start = clock()
                continue
            due.append(start)
            start = clock()  # the answer is there, and the next request is called
            done.append(start)

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
            raise TimeoutError  # gave up before the loop let it ask
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
    await anyio.lowlevel.checkpoint()  # `QueueFull` comes at once: others must get their turn
