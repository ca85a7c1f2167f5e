"""Arrival processes. Each depends only on its random numbers, never on the answers, except the
closed loop, whose clients wait for theirs."""

import heapq
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Protocol

Times = list[float]
Process = Callable[[float, int, Random], Times]
"""From a mean rate, a number of requests and random numbers to the times of arrival."""


class Source(Protocol):
    """A source of requests.

    Attributes:
        next_at: when the next request comes; inf for never.
    """

    next_at: float

    def take(self) -> int:
        """The next request arrives; returns the client's number."""
        ...

    def answered(self, client: int, now: float) -> None:
        """A client has its answer, or gave up."""
        ...


class OpenLoop:
    """Requests at given times, independent of earlier answers."""

    def __init__(self, times: Sequence[float]):
        self._times = iter(times)
        self.next_at = next(self._times, math.inf)

    def take(self) -> int:
        self.next_at = next(self._times, math.inf)
        return 0

    def answered(self, client: int, now: float) -> None:
        pass


class ClosedLoop:
    """Clients that send a request, wait for the answer, think (exponentially long) and repeat.

    Each has random numbers of its own, so its thinking times are the same under every policy.
    """

    def __init__(self, clients: int, thinking: float, until: float, seed: str):
        self._chances = [Random(f"{seed}/{client}") for client in range(clients)]
        self._thinking = thinking
        self._until = until
        self._asking: list[tuple[float, int]] = []
        self.next_at = math.inf
        for client in range(clients):
            self.answered(client, 0.0)

    def take(self) -> int:
        _, client = heapq.heappop(self._asking)
        self.next_at = self._asking[0][0] if self._asking else math.inf
        return client

    def answered(self, client: int, now: float) -> None:
        at = now + self._chances[client].expovariate(1.0 / self._thinking)
        if at <= self._until:
            heapq.heappush(self._asking, (at, client))
            self.next_at = self._asking[0][0]


def poisson(rate: float, count: int, chance: Random) -> Times:
    """Independent requests."""
    return _warped(lambda _: 1.0, rate, count, chance)


def bursty(rate: float, count: int, chance: Random) -> Times:
    """A Markov-modulated Poisson process of two states (Fischer and Meier-Hellstern, Performance
    Evaluation 18, 1993): a quarter of the time 2.2 times the mean rate, otherwise 0.6 times;
    a burst is about 200 requests long."""
    burst, calm, share = 2.2, 0.6, 0.25
    length = 200 / (burst * rate)
    times: Times = []
    now = 0.0
    in_burst, ends = False, chance.expovariate(share / (1 - share) / length)
    while len(times) < count:
        at = now + chance.expovariate(rate * (burst if in_burst else calm))
        if at < ends:
            times.append(at)
            now = at
        else:  # memoryless: draw again from the change of state on
            now, in_burst = ends, not in_burst
            ends += chance.expovariate((1 if in_burst else share / (1 - share)) / length)
    return _scaled(times, rate)


def diurnal(rate: float, count: int, chance: Random) -> Times:
    """Two days, compressed: the rate swings by 60 per cent around its mean."""
    period = count / rate / 2
    return _warped(lambda at: 1 - 0.6 * math.cos(2 * math.pi * at / period), rate, count, chance)


def fan_out(rate: float, count: int, chance: Random) -> Times:
    """What stands in for a recorded trace where none is given: pages that ask for 1 to 32 items
    nearly at once, their number and the pauses between pages with heavy (Pareto) tails, whose sum
    is bursty on every scale (Willinger et al., SIGCOMM 1995)."""
    times: Times = []
    now = 0.0
    while len(times) < count:
        now += chance.paretovariate(1.5)
        items = min(32, int(chance.paretovariate(1.1)))
        times += [now + chance.expovariate(10.0) for _ in range(items)]
    return _scaled(sorted(times)[:count], rate)


def recorded(path: Path) -> Process:
    """A recorded trace: a text file with one time of arrival (seconds, any origin) per line. It is
    repeated or cut to the number of requests, and its clock is stretched to the mean rate."""
    seconds = sorted(float(line) for line in path.read_text().split())
    if len(seconds) < 2 or seconds[0] == seconds[-1]:
        raise ValueError(f"{path}: a trace needs two different times at least")
    length = (seconds[-1] - seconds[0]) * len(seconds) / (len(seconds) - 1)

    def process(rate: float, count: int, chance: Random) -> Times:
        laps = range(-(-count // len(seconds)))
        times = [at - seconds[0] + lap * length for lap in laps for at in seconds]
        return _scaled(times[:count], rate)

    return process


def _warped(shape: Callable[[float], float], rate: float, count: int, chance: Random) -> Times:
    """A Poisson process whose rate is `rate * shape(time)`: thinning (Lewis, Shedler 1979)."""
    most = 2.0 * rate
    now = 0.0
    times: Times = []
    while len(times) < count:
        now += chance.expovariate(most)
        if chance.random() * most < rate * shape(now):
            times.append(now)
    return times


def _scaled(times: Times, rate: float) -> Times:
    """Stretched to the mean rate: few bursts vary by more than the loads compared differ."""
    stretch = len(times) / rate / (times[-1] - times[0])
    return [(at - times[0]) * stretch for at in times]


PROCESSES: dict[str, Process] = {
    "poisson": poisson,
    "bursty": bursty,
    "diurnal": diurnal,
    "trace": fan_out,
}
CLOSED = "closed loop"
NAMES = (*PROCESSES, CLOSED)


def source(
    process: str, rate: float, count: int, alone: float, seed: str, trace: Path | None = None
) -> Source:
    """Make one.

    Args:
        process: a name of `NAMES`.
        rate: requests per second; in the closed loop those of clients whose answers take `alone`.
        count: approximate number of requests.
        alone: seconds of one request on an idle machine.
        seed: which random numbers.
        trace: a recorded trace to use in place of the stand-in.
    """
    if process == CLOSED:
        thinking = 20 * alone
        clients = max(1, round(rate * (thinking + alone)))
        return ClosedLoop(clients, thinking, count / rate, seed)
    make = recorded(trace) if trace is not None and process == "trace" else PROCESSES[process]
    return OpenLoop(make(rate, count, Random(seed)))
