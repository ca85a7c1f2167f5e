"""A device with its streams.

A stream runs its batches one after the other. A batch first does its own part (launch, latency,
copies: concurrently with everything else), then its shared work; batches of several streams that
are doing shared work get equal parts of the device (processor sharing).
"""

import math
from collections import deque
from typing import Any

CLOSE = 1e-12
"""Seconds of work that count as none: rounding."""


class Run:
    """A batch on a device.

    Attributes:
        what: whatever the caller wants back.
        lane: its stream.
        own: seconds of its own part left.
        shared: seconds of shared work left.
        started: when it came to the head of its stream.
        ended: when it was done.
    """

    __slots__ = ("ended", "lane", "own", "shared", "started", "what")

    def __init__(self, what: Any, lane: int, own: float, shared: float):
        self.what = what
        self.lane = lane
        self.own = own
        self.shared = shared
        self.started = self.ended = math.nan


class Device:
    """Streams that share one device.

    Attributes:
        now: the time up to which it was simulated.
        next_at: when its state changes next; inf for never.
        busy: seconds in which some batch was on it.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.next_at = math.inf
        self.busy = 0.0
        self._heads: list[Run] = []
        self._behind: dict[int, deque[Run]] = {}

    def add(self, run: Run, now: float) -> None:
        """Enqueue a batch on its stream; nothing may be due before `now`."""
        self._follow(now)
        if run.lane in self._behind:
            self._behind[run.lane].append(run)
        else:
            self._behind[run.lane] = deque()
            run.started = now
            self._heads.append(run)
            self._plan()

    def step(self) -> list[Run]:
        """Advance to `next_at`; returns the batches that end there."""
        self._follow(self.next_at)
        done = [run for run in self._heads if run.own <= CLOSE and run.shared <= CLOSE]
        for run in done:
            run.ended = self.now
            self._heads.remove(run)
            behind = self._behind[run.lane]
            if behind:
                behind[0].started = self.now
                self._heads.append(behind.popleft())
            else:
                del self._behind[run.lane]
        self._plan()
        return done

    def _follow(self, now: float) -> None:
        passed = now - self.now
        self.now = now
        if not self._heads or passed <= 0:
            return
        self.busy += passed
        sharing = sum(run.own <= CLOSE for run in self._heads)
        for run in self._heads:
            if run.own > CLOSE:
                run.own -= passed
            else:
                run.shared -= passed / sharing

    def _plan(self) -> None:
        sharing = sum(run.own <= CLOSE for run in self._heads)
        left = [run.own if run.own > CLOSE else run.shared * sharing for run in self._heads]
        self.next_at = self.now + max(0.0, min(left)) if left else math.inf
