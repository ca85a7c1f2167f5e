"""A full queue: who gives way, and how long a request may have to wait, in virtual time."""

import math
from collections.abc import Callable
from itertools import cycle
from typing import Any

import pytest

from tests.scheduler.harness import MS, AnyBatch, Desk, asked, linear
from trtasync.errors import QueueFull, RequestTooLarge
from trtasync.scheduler import Queue, Request


def crowd(desk: Desk, queue: Queue, *levels: int) -> list[Request]:
    """One request of each priority, 1 ms apart."""
    requests = []
    for level in levels:
        desk.now += MS
        requests.append(desk.submit(queue, level=level))
    return requests


def gone(desk: Desk) -> list[Request]:
    """Who was displaced so far."""
    return [request for request, _ in desk.displaced]


# -- priorities ------------------------------------------------------------------------------------


def test_a_more_urgent_request_takes_the_place_of_the_newest_least_urgent() -> None:
    desk, queue = Desk(max_queue_size=6), Queue()
    requests = crowd(desk, queue, 9, 7, 9, 5, 9, 7)
    urgent = crowd(desk, queue, 1, 1, 1, 6)
    assert gone(desk) == [requests[4], requests[2], requests[0], requests[5]]
    assert desk.policy.queued == 6
    desk.run()
    assert set(desk.answered) == {requests[1], requests[3], *urgent}


def test_what_it_is_told() -> None:
    desk, queue = Desk(max_queue_size=3), Queue()
    displaced = desk.submit(queue, 2, level=9)
    desk.submit(queue)
    desk.submit(queue, level=2)
    ((request, error),) = desk.displaced
    assert request is displaced
    assert "a request of priority 2 took the place of this one of priority 9" in str(error)
    assert error.displaced
    assert (error.limit, error.rows, error.queued, error.wait) == (3, 2, 3, None)
    assert desk.policy.rejected == 0


@pytest.mark.parametrize("level", [5, 7, 9])
def test_nobody_gives_way_to_equals_or_less(level: int) -> None:
    desk, queue = Desk(max_queue_size=4), Queue()
    crowd(desk, queue, 5, 5, 4, 5)
    for _ in range(3):
        with pytest.raises(QueueFull) as refused:
            desk.submit(queue, level=level, deadline=desk.now + MS)
        assert not refused.value.displaced
    assert gone(desk) == []
    assert desk.policy.rejected == 3


def test_a_plain_request_takes_the_place_of_a_less_urgent_one() -> None:
    desk, queue = Desk(max_queue_size=3), Queue()
    requests = crowd(desk, queue, 6, 5, 4)
    desk.submit(queue)
    assert gone(desk) == requests[:1]


def test_plain_requests_that_came_before_any_priority_give_way_too() -> None:
    desk, queue = Desk(max_queue_size=3), Queue()
    requests = crowd(desk, queue, 5, 5, 5)
    desk.submit(queue, level=4)
    assert gone(desk) == requests[2:]


def test_of_one_priority_the_latest_deadline_gives_way() -> None:
    desk, queue = Desk(max_queue_size=4), Queue()
    deadlines = [30 * MS, math.inf, 40 * MS, 20 * MS]
    requests = [desk.submit(queue, level=9, deadline=due) for due in deadlines]
    for _ in deadlines:
        desk.submit(queue, level=1)
    assert gone(desk) == [requests[1], requests[2], requests[0], requests[3]]


def test_as_many_give_way_as_it_takes_and_none_if_that_is_not_enough() -> None:
    desk, queue = Desk(max_queue_size=8), Queue()
    first, second, third = (desk.submit(queue, rows, level=8) for rows in (3, 2, 1))
    desk.submit(queue, 2, level=1)
    with pytest.raises(QueueFull):
        desk.submit(queue, 7, level=1)
    assert gone(desk) == []
    desk.submit(queue, 2, level=1)
    assert gone(desk) == [third, second]
    desk.submit(queue, 3, level=1)  # one row was left over
    assert gone(desk) == [third, second, first]
    with pytest.raises(RequestTooLarge):
        desk.submit(queue, 9, level=1)


def test_what_has_begun_stays() -> None:
    desk, queue = Desk(max_batch_size=4, max_queue_size=8), Queue()
    split = desk.submit(queue, 6, level=9)
    desk.launch()  # four rows of it
    assert desk.policy.queued == 2
    whole = desk.submit(queue, 6, level=9)
    desk.submit(queue, 6, level=1)
    assert gone(desk) == [whole]
    with pytest.raises(QueueFull):
        desk.submit(queue, level=1)
    desk.run()
    assert split in desk.answered


def test_a_request_taken_in_again_after_its_deadline_gives_way_too() -> None:
    desk, queue = Desk(max_batch_size=2, max_queue_size=4), Queue()
    crowd(desk, queue, 5, 5)
    desk.launch()
    late = asked(queue, level=9, deadline=desk.now, arrival=desk.now)
    desk.policy.expire(late, desk.now)
    requests = crowd(desk, queue, 5, 5, 5, 5, 4)
    assert gone(desk) == [requests[3]]
    assert desk.launch(at=1.0) == []  # its caller still waits
    crowd(desk, queue, 5)
    assert gone(desk) == [requests[3], late]


def test_priorities_cost_nothing_before_the_queue_is_full_or_after() -> None:
    desk, queue = Desk(max_queue_size=6), Queue()
    crowd(desk, queue, 1, 9, 5, 5)
    assert desk.policy.unseen == 6
    crowd(desk, queue, 9, 9, 1)
    assert desk.policy.unseen == 0
    desk.run()
    assert desk.policy.unseen == 6


def test_plain_traffic_is_never_ranked() -> None:
    desk, queue = Desk(max_queue_size=3), Queue()
    crowd(desk, queue, 5, 5, 5)
    for _ in range(3):
        with pytest.raises(QueueFull):
            desk.submit(queue)
    assert desk.policy.unseen == 3


# -- max_queue_time --------------------------------------------------------------------------------


def slowly(rows: int) -> float:
    """t(b) = 5.0 + 0.5 b ms."""
    return 5 * linear(rows)


class Load:
    """An open load on one lane: a request every so often, whatever becomes of them.

    Attributes:
        waits: of each accepted request when it came and how long it was before its launch.
        refusals: priorities of which some were refused.
        refused: when requests were refused, and with what.
    """

    def __init__(self, desk: Desk, cost: Callable[[int], float] = slowly):
        self.desk = desk
        self.cost = cost
        self.queue = Queue()
        self.waits: list[tuple[float, float]] = []
        self.refused: list[tuple[float, QueueFull]] = []
        self.refusals: set[int] = set()
        self.answered = 0
        self._ends: dict[AnyBatch, float] = {}

    def run(self, until: float, gap: float, *levels: int) -> None:
        """Requests come every `gap` seconds until then, of these priorities in turn."""
        desk = self.desk
        turns = cycle(levels or (5,))
        arrival = desk.now
        while True:
            first = min(self._ends, key=self._ends.__getitem__, default=None)
            end = math.inf if first is None else self._ends[first]
            now = max(desk.now, min(arrival, desk.policy.wake_at, end))
            if now >= until:
                return
            desk.now = now
            if first is not None and end <= now:
                del self._ends[first]
                self.answered += first.size
                desk.finish(first)
            elif arrival <= now:
                self.ask(next(turns))
                arrival += gap
            self.launch()

    def ask(self, level: int = 5, rows: int = 1) -> None:
        try:
            self.desk.submit(self.queue, rows, level=level)
        except QueueFull as error:
            self.refusals.add(level)
            self.refused.append((self.desk.now, error))

    def launch(self) -> None:
        for batch in self.desk.launch():
            self._ends[batch] = self.desk.now + self.cost(batch.run_rows)
            for entry in batch.entries:
                self.waits.append((entry.arrival, self.desk.now - entry.arrival))

    def longest(self, since: float) -> float:
        """The longest wait of those that came since then."""
        return max(wait for arrival, wait in self.waits if arrival >= since)


CAPACITY = 8 / slowly(8)
"""Rows per second in batches of eight."""


def load(max_queue_time: float | None, max_queue_size: int = 4096) -> Load:
    desk = Desk(max_batch_size=8, max_queue_time=max_queue_time, max_queue_size=max_queue_size)
    return Load(desk)


@pytest.mark.parametrize("times", [2, 10])
def test_nobody_waits_longer_than_max_queue_time(times: int) -> None:
    bounded, unbounded = load(0.1, max_queue_size=512), load(None, max_queue_size=512)
    for each in (bounded, unbounded):
        each.run(2.0, 1 / (times * CAPACITY))
        assert each.answered > 0.98 * 2.0 * CAPACITY
    assert 0.07 < bounded.longest(since=0.5) < 0.11
    assert bounded.longest(since=0.0) < 0.2  # before the first measurements
    assert unbounded.longest(since=0.5) > 0.5


@pytest.mark.parametrize("bound", [{"max_queue_size": 64}, {"max_queue_time": 0.1}])
@pytest.mark.parametrize("times", [2, 10])
def test_the_urgent_half_of_a_capacity_loses_nothing(times: int, bound: dict[str, Any]) -> None:
    over = Load(Desk(max_batch_size=8, **bound))
    over.run(2.0, 1 / (times * CAPACITY), 1, *[9] * (2 * times - 1))
    turned_out = [request.level for request in gone(over.desk)]
    assert set(turned_out) == {9}
    assert over.refusals == {9}
    assert over.answered > 0.98 * 2.0 * CAPACITY


def test_a_refusal_says_how_long_the_queue_is() -> None:
    under = load(0.1)
    under.run(1.0, 0.5 / CAPACITY)
    _, error = under.refused[-1]
    assert "exceed max_queue_time=0.1" in str(error)
    assert error.wait == pytest.approx(0.1, rel=0.05)
    assert error.limit == pytest.approx(0.1 * CAPACITY, rel=0.05)
    assert not error.displaced


def test_when_the_limit_falls_no_row_is_taken_unasked_any_more() -> None:
    desk, queue = Desk(max_batch_size=4, homes=(None,) * 8, max_queue_time=0.001), Queue()
    for _ in range(18):
        desk.submit(queue)
    last = desk.policy.forming[-1]
    desk.policy.open_up(last)
    assert last.room == 4
    for at in (1.0, 2.0):
        desk.launch()
        desk.finish(desk.running[0], at)
    assert desk.policy.unseen < desk.policy.queued
    assert last.room == 0


def test_below_capacity_nobody_is_refused() -> None:
    under = load(0.02)
    under.run(5.0, 1 / (0.9 * CAPACITY))
    assert under.refused == []


def test_a_service_that_becomes_slower_or_faster_is_followed_within_a_second() -> None:
    under = load(0.2)
    under.run(2.0, 0.5 / CAPACITY)
    under.cost = lambda rows: 5 * slowly(rows)
    under.run(5.0, 0.5 / CAPACITY)
    assert under.longest(since=3.0) < 0.25
    under.cost = slowly
    under.run(6.0, 0.5 / CAPACITY)
    answered = under.answered
    under.waits.clear()
    under.run(8.0, 0.5 / CAPACITY)
    assert under.longest(since=6.0) > 0.18
    assert under.answered - answered > 0.98 * 2.0 * CAPACITY


def test_one_pause_is_forgotten() -> None:
    under = load(0.1)
    under.run(1.0, 0.5 / CAPACITY)
    under.cost = lambda rows: 5.0
    under.run(1.02, 0.5 / CAPACITY)
    assert [batch.queue for batch in under.desk.running] == [under.queue]
    under.cost = slowly
    under.run(8.0, 0.5 / CAPACITY)
    assert under.longest(since=7.0) > 0.08


def slow(desk: Desk, queue: Queue) -> None:
    """Three batches of two rows that take a second each: two rows per second are measured."""
    for _ in range(6):
        desk.submit(queue)
    for end in (1.0, 2.0, 3.0):
        (batch,) = desk.launch()
        desk.finish(batch, end)


def test_an_idle_engine_refuses_nobody() -> None:
    desk, queue = Desk(max_batch_size=2, max_queue_time=0.1, max_queue_size=64), Queue()
    slow(desk, queue)
    desk.submit(queue, 50)
    with pytest.raises(QueueFull):
        desk.submit(queue)
    with pytest.raises(RequestTooLarge, match="never fits max_queue_size=64"):
        desk.submit(queue, 65)


def test_a_slow_measurement_refuses_nobody_for_ever() -> None:
    desk, queue = Desk(max_batch_size=2, max_queue_time=0.1, max_queue_size=64), Queue()
    slow(desk, queue)
    for _ in range(4):
        desk.submit(queue)
    with pytest.raises(QueueFull):
        desk.submit(queue)
    desk.now += 1.1
    for _ in range(60):
        desk.submit(queue)


def test_idle_time_is_not_taken_for_slow_service() -> None:
    desk, queue = Desk(max_batch_size=2, max_queue_time=0.1, max_queue_size=64), Queue()
    requests = [desk.submit(queue) for _ in range(6)]
    (batch,) = desk.launch()
    desk.finish(batch, 1 * MS)
    for request in requests:
        desk.withdraw(request)
    desk.now = 3600.0
    desk.submit(queue)
    (batch,) = desk.launch()
    desk.finish(batch, 3600.0 + 1 * MS)
    for _ in range(64):
        desk.submit(queue)


def test_urgent_requests_take_the_places_of_others_in_time_too() -> None:
    under = load(0.1)
    under.run(1.0, 0.5 / CAPACITY, 9)
    refused, queued = len(under.refused), under.desk.policy.queued
    for _ in range(20):
        under.ask(level=1)
    assert len(under.refused) == refused
    assert {request.level for request in gone(under.desk)} == {9}
    assert under.desk.policy.queued == pytest.approx(queued, abs=1)


def test_a_limit_that_fell_turns_nobody_out_but_for_an_urgent_request() -> None:
    under = load(0.1)
    under.run(1.0, 0.5 / CAPACITY, 9)
    queued = under.desk.policy.queued
    under.cost = lambda rows: 1.0
    under.run(3.0, 1.0, 9)
    assert under.desk.policy._admission._limit == 16 < under.desk.policy.queued
    under.desk.displaced.clear()
    under.ask(level=1, rows=2)
    assert len(under.desk.displaced) == 2
    assert queued > 60
