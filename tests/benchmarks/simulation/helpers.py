"""One run of the simulator in a line."""

import math
from dataclasses import replace
from random import Random

from benchmarks.simulation.arrivals import OpenLoop, poisson
from benchmarks.simulation.costs import linear
from benchmarks.simulation.scenarios import QUIET, Scenario
from benchmarks.simulation.schedulers import Launch, Request, Scheduler
from benchmarks.simulation.world import Record, World

MS = 1e-3

PLAIN = Scenario(name="plain", cost=linear(1 * MS, 0.1 * MS, 0.0), conditions=QUIET)
"""t(n) = 1.0 + 0.1 n ms on one stream of a textbook's machine."""

TWO_STREAMS = replace(PLAIN, lanes=(0, 0), cost=linear(1 * MS, 0.1 * MS, 0.1))
TWO_DEVICES = replace(PLAIN, lanes=(0, 1))


def serve(
    scheduler: Scheduler, times: list[float], machine: Scenario = PLAIN, patience: float = math.inf
) -> Record:
    """Requests at these times."""
    return World(machine, scheduler, OpenLoop(times), "test", patience).run()


def some(load: float, machine: Scenario = PLAIN, count: int = 3000, seed: int = 1) -> list[float]:
    """Poisson arrivals."""
    return poisson(load * machine.rate, count, Random(seed))


def latencies(record: Record) -> list[float]:
    """In the order of the answers."""
    return [wait for _, wait in record.waits]


class Spy:
    """Passes everything on and remembers who came, and what went when."""

    def __init__(self, inner: Scheduler):
        self.inner = inner
        self.went: list[tuple[float, int]] = []

    @property
    def wake_at(self) -> float:
        return self.inner.wake_at

    def submit(self, request: Request, now: float) -> None:
        self.inner.submit(request, now)

    def withdraw(self, request: Request, now: float) -> None:
        self.inner.withdraw(request, now)

    def next_batch(self, now: float) -> Launch | None:
        launch = self.inner.next_batch(now)
        if launch is not None:
            self.went.append((now, len(launch.requests)))
        return launch

    def finished(self, launch: Launch, now: float, seconds: float) -> None:
        self.inner.finished(launch, now, seconds)
