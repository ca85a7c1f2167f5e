"""The policy under seconds of virtual load, against the figures of the reference simulation.

t(b) = 1.0 + 0.1 b ms, at most 32 rows, Poisson arrivals; the capacity is 7619 rows/s.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median

import pytest

from tests.scheduler.harness import MS, Slot, asked, linear
from trtasync.scheduler import Batch, LaneState, Policy, PolicyOptions, Queue

LARGEST = 32
CAPACITY = LARGEST / linear(LARGEST)
BESIDE = 0.55
"""Speed of each of two batches that run at once."""


@dataclass
class Simulation:
    """One device under load.

    Attributes:
        rate: requests per second.
        lanes: streams of the device.
        patience: seconds each caller waits.
        told: the policy knows the callers' deadlines.
        learns: it learns the batch times (otherwise it is eager: anything goes to a free lane).
        max_queue_delay: the option.
        speed: of each of two batches that run at once.
        shares: of each queue, its part of the load.
        cost: t(b) of a queue.
        waits: per queue, the answered requests' latencies.
    """

    rate: float
    lanes: int = 1
    patience: float = math.inf
    told: bool = True
    learns: bool = True
    max_queue_delay: float = 0.0
    speed: float = BESIDE
    shares: Sequence[float] = (1.0,)
    cost: Callable[[int, int], float] = lambda queue, rows: linear(rows)
    seed: int = 1
    arrived: int = 0
    waits: list[list[float]] = field(default_factory=list)

    def run(self, seconds: float) -> "Simulation":
        """Let requests come for so long and serve what was accepted."""
        chance = random.Random(self.seed)
        states = [LaneState(index) for index in range(self.lanes)]
        options = PolicyOptions(
            max_batch_size=LARGEST,
            max_queue_size=1_000_000,
            max_queue_delay=self.max_queue_delay,
        )
        policy = Policy(options, states, [Slot() for _ in range(2 * self.lanes)])
        queues = [Queue() for _ in self.shares]
        self.waits = [[] for _ in queues]
        work: dict[Batch[Slot], float] = {}  # seconds of work left of what is running
        now, arrival = 0.0, chance.expovariate(self.rate)
        while arrival < seconds or policy.queued or policy.in_flight:
            speed = 1.0 if len(work) < 2 else self.speed
            first = min(work, key=work.__getitem__) if work else None
            end = now + work[first] / speed if first is not None else math.inf
            coming = arrival if arrival < seconds else math.inf
            then = max(now, min(end, coming, policy.wake_at))
            for batch in work:
                work[batch] -= (then - now) * speed
            now = then
            if first is not None and now == end:
                del work[first]
                self._answer(first, queues.index(first.queue), policy, now)
            elif now == coming:
                (queue,) = chance.choices(queues, self.shares)
                deadline = now + self.patience if self.told else math.inf
                request = asked(queue, deadline=deadline, arrival=now)
                if not policy.hold(request):
                    policy.place(request)
                policy.placements.clear()
                self.arrived += 1
                arrival += chance.expovariate(self.rate)
            while (ready := policy.next_batch(now)) is not None:
                work[ready] = self.cost(queues.index(ready.queue), ready.run_rows)
            policy.placements.clear()
        return self

    def _answer(self, batch: Batch[Slot], queue: int, policy: Policy[Slot], now: float) -> None:
        for request in batch.entries:
            # what was left out is computed after all, as nobody withdraws it here: too late
            self.waits[queue].append(now - request.arrival)
        policy.finished(batch, now, now - batch.started if self.learns else None)
        batch.entries = []

    @property
    def all_waits(self) -> list[float]:
        """Of all queues."""
        return [wait for waits in self.waits for wait in waits]

    @property
    def in_time(self) -> float:
        """The share of all requests that was answered within their callers' patience."""
        return sum(wait <= 20 * MS for wait in self.all_waits) / self.arrived


# -- little load ---------------------------------------------------------------------------------


def test_little_load_is_answered_in_the_time_of_one_row() -> None:
    waits = Simulation(rate=100).run(20).all_waits
    assert linear(1) <= fmean(waits) < 1.1 * linear(1)  # reference: 1.16 ms
    assert median(waits) == pytest.approx(linear(1))


@pytest.mark.parametrize(("delay", "reference"), [(1 * MS, 2.08 * MS), (5 * MS, 5.35 * MS)])
def test_a_fixed_delay_is_paid_when_idle(delay: float, reference: float) -> None:
    eager = fmean(Simulation(rate=100).run(20).all_waits)
    delayed = fmean(Simulation(rate=100, max_queue_delay=delay).run(20).all_waits)
    assert delayed > eager + 0.8 * delay
    assert delayed == pytest.approx(reference, rel=0.15)


# -- more load, and streams ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "reference"), [(1000, 1.64), (3000, 2.26), (6000, 3.93), (7200, 5.79)]
)
def test_one_lane_under_load_as_in_the_reference(rate: float, reference: float) -> None:
    waits = Simulation(rate=rate).run(4).all_waits
    assert fmean(waits) == pytest.approx(reference * MS, rel=0.1)


@pytest.mark.parametrize("rate", [500, 1000, 3000])
def test_with_two_lanes_what_is_learned_is_better_than_eager(rate: float) -> None:
    learned = Simulation(rate=rate, lanes=2).run(4).all_waits
    eager = Simulation(rate=rate, lanes=2, learns=False).run(4).all_waits
    assert median(learned) <= median(eager)
    assert fmean(learned) < fmean(eager)


@pytest.mark.parametrize("rate", [500, 1500])
def test_two_lanes_that_hardly_hold_each_other_up_are_both_used(rate: float) -> None:
    one = Simulation(rate=rate).run(4).all_waits
    two = Simulation(rate=rate, lanes=2, speed=0.95).run(4).all_waits
    assert fmean(two) < 0.85 * fmean(one)


@pytest.mark.parametrize(
    "rate",
    [
        500,
        1500,
        6000,
    ],
)
def test_two_lanes_that_only_take_turns_are_not_worse_than_one(rate: float) -> None:
    one = Simulation(rate=rate).run(4).all_waits
    two = Simulation(rate=rate, lanes=2, speed=0.5).run(4).all_waits
    assert fmean(two) < 1.15 * fmean(one)


def test_with_two_lanes_the_second_is_used_under_load() -> None:
    one = Simulation(rate=1.05 * CAPACITY).run(2).all_waits
    two = Simulation(rate=1.05 * CAPACITY, lanes=2).run(2).all_waits
    # two at once do 1.1 times as much: enough for this load
    assert max(two) < 0.5 * max(one)


# -- too much load -------------------------------------------------------------------------------


def overload(load: float, lanes: int = 1, told: bool = True) -> Simulation:
    return Simulation(rate=load * CAPACITY, lanes=lanes, patience=20 * MS, told=told).run(2)


@pytest.mark.parametrize(
    ("load", "reference"), [(1.05, 0.959), (1.15, 0.876), (1.5, 0.673), (2.0, 0.506)]
)
def test_leaving_out_the_hopeless_saves_the_others(load: float, reference: float) -> None:
    result = overload(load)
    assert result.in_time > reference - 0.08


def test_without_knowing_the_deadlines_hardly_any_makes_it() -> None:
    assert overload(1.15, told=False).in_time < 0.15
    assert overload(1.15).in_time > 0.8


def test_with_two_lanes_too() -> None:
    assert overload(1.3, lanes=2).in_time > 0.7


# -- many queues ---------------------------------------------------------------------------------


def test_rows_over_many_queues() -> None:
    shares = [1 / (rank + 1) for rank in range(20)]
    result = Simulation(rate=1000, shares=shares).run(4)
    assert len(result.all_waits) == result.arrived
    means = [fmean(waits) for waits in result.waits]
    # nobody's shape pays for being rare
    assert max(means) < 2 * fmean(result.all_waits)


@pytest.mark.parametrize(("lanes", "load"), [(1, 0.9), (2, 1.0)])
def test_a_rare_queue_beside_one_that_keeps_the_device_busy(lanes: int, load: float) -> None:
    result = Simulation(rate=load * CAPACITY, lanes=lanes, shares=(0.998, 0.002)).run(4)
    common, rare = result.waits
    assert len(rare) >= 30
    # its few rows never fill a batch, and the device is hardly ever idle
    assert max(rare) < 3 * linear(LARGEST) / BESIDE
    assert fmean(rare) < 2 * fmean(common)


@pytest.mark.parametrize("lanes", [1, 2])
def test_in_excess_every_queue_waits_its_turn(lanes: int) -> None:
    result = Simulation(rate=1.4 * CAPACITY, lanes=lanes, shares=(0.9, 0.09, 0.01)).run(2)
    common, *others = [fmean(waits) for waits in result.waits]
    assert common > 100 * MS
    # a rare one wins a little: its next rows find room where its first one got a slot
    assert all(common / 2 < other <= common for other in others)


def test_a_costly_queue_is_served_in_its_turn_too() -> None:
    def cost(queue: int, rows: int) -> float:
        return (10 if queue else 1) * linear(rows)

    result = Simulation(rate=1000, shares=(0.8, 0.2), cost=cost).run(4)
    cheap, costly = result.waits
    assert fmean(cheap) < fmean(costly) < 3 * cost(1, 16)
    assert max(cheap) < 3 * cost(1, 32)
