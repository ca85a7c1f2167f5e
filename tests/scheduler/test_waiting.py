"""The order in which requests wait."""

import math
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.scheduler.harness import asked
from trtasync.scheduler import Queue, Request
from trtasync.scheduler.queues import AGEING, WaitingLine, urgency
from trtasync.scheduler.requests import DEFAULT_LEVEL, LEVELS
from trtasync.scheduler.states import OVER

QUEUE = Queue()


def request(
    arrival: float = 0.0,
    level: int = DEFAULT_LEVEL,
    deadline: float = math.inf,
    rows: int = 1,
) -> Request:
    return asked(QUEUE, rows, level, deadline, arrival)


def order(*requests: Request) -> list[int]:
    """The indices of `requests` in the order in which the line gives them."""
    line = WaitingLine()
    for one in requests:
        line.push(one)
    taken = []
    while line.head() is not None:
        taken.append(requests.index(line.pop()))
    assert line.rows == len(line) == 0
    return taken


def test_first_come_first_served() -> None:
    assert order(*(request(arrival=0.001 * i) for i in range(20))) == list(range(20))


def test_same_instant_keeps_the_order_of_arrival() -> None:
    assert order(*(request() for _ in range(20))) == list(range(20))


def test_plain_traffic_stays_out_of_the_heap() -> None:
    line = WaitingLine()
    for step in range(20):
        line.push(request(arrival=float(step // 5)))
    assert line._heap == []


def test_strict_priority() -> None:
    levels = [5, 9, 1, 5, 2, 1]
    assert order(*(request(level=level) for level in levels)) == [2, 5, 4, 0, 3, 1]


def test_earliest_deadline_first_inside_a_level() -> None:
    assert order(
        request(deadline=3.0),
        request(deadline=1.0),
        request(),
        request(deadline=2.0),
    ) == [1, 3, 0, 2]


def test_a_deadline_does_not_beat_a_better_level() -> None:
    assert order(request(deadline=0.001), request(level=DEFAULT_LEVEL - 1)) == [1, 0]


@pytest.mark.parametrize("levels", range(1, LEVELS))
def test_waiting_lifts_by_one_level_per_ageing(levels: int) -> None:
    old = request(level=1 + levels)
    just_before = request(arrival=levels * AGEING - 0.1, level=1)
    just_after = request(arrival=levels * AGEING + 0.1, level=1)
    assert order(just_before, just_after, old) == [0, 2, 1]


def test_urgent_requests_cannot_starve_one_without_deadline() -> None:
    line = WaitingLine()
    patient = request()
    line.push(patient)
    # every 10 ms comes one that is due in 20 ms, and one is taken: the line never gets empty
    for step in count():
        now = 0.01 * step
        line.push(request(arrival=now, deadline=now + 0.02))
        if line.pop() is patient:
            break
        assert now < 2 * AGEING
    assert now == pytest.approx(AGEING, abs=0.05)


def test_a_line_of_better_levels_cannot_starve_a_worse_one_for_ever() -> None:
    line = WaitingLine()
    patient = request(level=LEVELS)
    line.push(patient)
    for step in count():
        line.push(request(arrival=0.1 * step, level=1))
        if line.pop() is patient:
            break
        assert 0.1 * step <= LEVELS * AGEING


@given(st.integers(1, LEVELS), st.floats(0, 1e6), st.floats(-1e6, 1e6) | st.just(math.inf))
def test_urgency_is_never_later_than_the_ageing_horizon(
    level: int, arrival: float, deadline: float
) -> None:
    assert urgency(level, arrival, deadline) <= urgency(level, arrival, math.inf)
    assert urgency(level, arrival, math.inf) <= urgency(level + 1, arrival, math.inf) - AGEING / 2


def test_partly_placed_head_keeps_its_place_and_counts_what_is_left() -> None:
    line = WaitingLine()
    big, next_one = request(rows=5), request(arrival=1.0)
    line.push(big)
    line.push(next_one)
    assert line.rows == 6
    big.placed = 3
    line.took(3)
    assert line.rows == 3
    assert line.head() is big
    assert line.pop() is big
    assert line.rows == 1
    assert line.pop() is next_one


def test_withdrawing_leaves_nothing_behind() -> None:
    line = WaitingLine()
    requests = [request(arrival=float(i), level=1 + i % LEVELS) for i in range(1000)]
    for one in requests:
        line.push(one)
    for alive, one in zip(range(999, -1, -1), requests, strict=True):
        one.state = OVER
        line.withdraw(one)
        assert len(line) == line.rows == alive
        # withdrawn ones kept are never more than the rest: no pile of dead requests
        assert len(line._line) + len(line._heap) <= 2 * alive
    assert line.head() is None


class CountingLine(WaitingLine):
    """Counts the items it looks at when it sweeps."""

    looked_at = 0

    def sweep(self) -> None:
        self.looked_at += len(self._line) + len(self._heap)
        super().sweep()


def test_withdrawing_is_constant_amortised() -> None:
    line = CountingLine()
    requests = [request(arrival=float(i)) for i in range(4096)]
    for one in requests:
        line.push(one)
    for one in reversed(requests):
        one.state = OVER
        line.withdraw(one)
    assert 0 < line.looked_at <= 3 * len(requests)


def test_drain_takes_everything_that_is_not_withdrawn() -> None:
    line = WaitingLine()
    requests = [request(arrival=float(-i)) for i in range(10)]
    for one in requests:
        line.push(one)
    requests[3].state = OVER
    line.withdraw(requests[3])
    expected = {id(one) for one in requests if one is not requests[3]}
    assert {id(one) for one in line.entries()} == expected
    assert {id(one) for one in line.drain()} == expected
    assert line.head() is None
    assert line.rows == len(line) == 0


@dataclass
class NaiveLine:
    """A list that is sorted whenever somebody looks."""

    items: list[tuple[float, int, Request]] = field(default_factory=list)
    pushed: int = 0

    def push(self, one: Request) -> None:
        key = one.level * AGEING + min(one.deadline, one.arrival + AGEING)
        self.items.append((key, self.pushed, one))
        self.pushed += 1

    def requests(self) -> list[Request]:
        return [item[2] for item in sorted(self.items, key=lambda item: item[:2])]

    def remove(self, one: Request) -> None:
        self.items = [item for item in self.items if item[2] is not one]


Step = tuple[str, float, int, float | None, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["push", "push", "push", "pop", "took", "withdraw", "sweep"]),
        st.sampled_from([0.0, 0.001, 1.0, 15.0]),  # time that passes
        st.integers(1, LEVELS),
        st.none() | st.sampled_from([-1.0, 0.0, 0.02, 5.0, 100.0]),  # until the deadline
        st.integers(1, 5),  # rows, and which one is withdrawn
    ),
    max_size=80,
)


@given(STEPS)
def test_the_line_behaves_like_a_sorted_list(steps: list[Step]) -> None:
    line, naive = WaitingLine(), NaiveLine()
    now = 0.0
    for action, passed, level, slack, number in steps:
        now += passed
        expected = naive.requests()
        if action == "push":
            deadline = math.inf if slack is None else now + slack
            one = request(now, level, deadline, number)
            line.push(one)
            naive.push(one)
        elif action == "pop" and expected:
            assert line.pop() is expected[0]
            naive.remove(expected[0])
        elif action == "took" and expected and expected[0].rows - expected[0].placed > 1:
            assert line.head() is expected[0]
            expected[0].placed += 1
            line.took(1)
        elif action == "withdraw" and expected:
            one = expected[number % len(expected)]
            one.state = OVER
            line.withdraw(one)
            naive.remove(one)
        elif action == "sweep":
            line.sweep()
        left = naive.requests()
        assert len(line) == len(left)
        assert line.rows == sum(one.rows - one.placed for one in left)
        assert line.head() is (left[0] if left else None)
        assert {id(one) for one in line.entries()} == {id(one) for one in left}
