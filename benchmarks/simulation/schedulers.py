"""The policies compared: each decides which requests go when, and on which stream.

Rivals are implemented as favourably as possible: one queue, the batch is formed when it goes (so it
grows while it waits for a stream), requests whose callers gave up leave the queue at no cost, and
batch times that a rival needs are known to it exactly.
"""

import math
from collections import deque
from typing import Any, Protocol

from benchmarks.simulation.scenarios import Scenario
from trtasync import scheduler
from trtasync.scheduler.states import OVER, QUEUED


class Request(scheduler.Request):
    """One request.

    Attributes:
        born: when it arrived; `arrival` is when the loop saw it.
        client: the client that sent it.
        launched: it is in a launched batch.
        over: it was answered or given up.
    """

    __slots__ = ("born", "client", "launched", "over")

    def __init__(self, born: float, client: int):
        self.state = QUEUED
        self.born = self.arrival = born
        self.client = client
        self.launched = self.over = False


class Launch:
    """A batch that goes.

    Attributes:
        requests: its requests.
        rows: rows to run, padding included.
        lane: its stream.
        token: the scheduler's own.
    """

    __slots__ = ("lane", "requests", "rows", "token")

    def __init__(self, requests: list[Request], rows: int, lane: int, token: Any = None):
        self.requests = requests
        self.rows = rows
        self.lane = lane
        self.token = token


class Scheduler(Protocol):
    """It is told what happens and asked what to do, like the engine's policy."""

    @property
    def wake_at(self) -> float:
        """When to ask again if nothing else happens; inf for never."""
        ...

    def submit(self, request: Request, now: float) -> None:
        """A request arrived."""
        ...

    def withdraw(self, request: Request, now: float) -> None:
        """Its caller gave up; it may be running already."""
        ...

    def next_batch(self, now: float) -> Launch | None:
        """What goes now; called until it returns None."""
        ...

    def finished(self, launch: Launch, now: float, seconds: float) -> None:
        """A batch has ended, after this long on its stream."""
        ...


class Line:
    """One queue for all streams; it asks `hold` how long the next batch should wait."""

    def __init__(self, machine: Scenario, at_once: int, largest: int | None = None):
        """Begin with idle streams.

        Args:
            machine: whose streams.
            at_once: batches per device, at most.
            largest: rows of a batch.
        """
        self.machine = machine
        self.largest = largest or machine.largest
        self.queue: deque[Request] = deque()
        self.wake_at = math.inf
        self._at_once = at_once
        self._on_lane = [0] * len(machine.lanes)
        self._on_device = [0] * machine.devices

    def submit(self, request: Request, now: float) -> None:
        self.queue.append(request)

    def withdraw(self, request: Request, now: float) -> None:
        request.state = OVER

    def next_batch(self, now: float) -> Launch | None:
        self.wake_at = math.inf
        self._sweep()
        if not self.queue:
            return None
        lane = self._free_lane()
        if lane is None:
            return None
        when = self.hold(min(len(self.queue), self.largest), now)
        if when > now:
            self.wake_at = when
            return None
        return self._launch(lane, now)

    def hold(self, rows: int, now: float) -> float:
        """Until when the next batch, so far of `rows` rows, waits; there is a stream for it."""
        raise NotImplementedError

    def finished(self, launch: Launch, now: float, seconds: float) -> None:
        self._on_lane[launch.lane] -= 1
        self._on_device[self.machine.lanes[launch.lane]] -= 1

    def _free_lane(self) -> int | None:
        devices, on_lane, on_device = self.machine.lanes, self._on_lane, self._on_device
        free = [
            (on_device[device], on_lane[lane], lane)
            for lane, device in enumerate(devices)
            if on_lane[lane] < self.machine.depth and on_device[device] < self._at_once
        ]
        return min(free)[2] if free else None

    def _launch(self, lane: int, now: float) -> Launch:
        queue = self.queue
        requests = [queue.popleft() for _ in range(min(len(queue), self.largest))]
        self._on_lane[lane] += 1
        self._on_device[self.machine.lanes[lane]] += 1
        return Launch(requests, self.machine.run_rows(len(requests)), lane, now)

    def _sweep(self) -> None:
        # all have the same patience: those that gave up are at the head
        while self.queue and self.queue[0].state is OVER:
            self.queue.popleft()


class FixedDelay(Line):
    """A batch waits until it is full or its oldest request is `delay` old, busy device or not.

    The rule of TensorFlow Serving (`batch_timeout_micros`, shared_batch_scheduler.h), Ray Serve
    (`batch_wait_timeout_s`), LitServe and others; with a delay of 0 it is *eager*.
    """

    def __init__(self, machine: Scenario, delay: float, at_once: int):
        super().__init__(machine, at_once)
        self._delay = delay

    def hold(self, rows: int, now: float) -> float:
        return now if rows >= self.largest else self.queue[0].arrival + self._delay


def no_batching(machine: Scenario) -> Line:
    """Every request alone, as many at once as the streams take."""
    line = FixedDelay(machine, 0.0, len(machine.lanes) * machine.depth)
    line.largest = 1
    return line
