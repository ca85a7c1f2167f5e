"""Closed loops of callers with deadlines, in virtual time: somebody is answered in time."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scheduler.harness import MS, Desk
from trtasync.scheduler import Queue, Request
from trtasync.scheduler.cost import TRUST
from trtasync.scheduler.states import EXPIRED


class Curve:
    """t(n) = first + each n ** power."""

    def __init__(self, first: float, each: float, power: float = 1.0):
        self.first, self.each, self.power = first, each, power

    def __call__(self, rows: int) -> float:
        return float(self.first + self.each * rows**self.power)

    def __repr__(self) -> str:
        return f"{self.first / MS:.3f} + {self.each / MS:.3f} n ** {self.power} ms"


def answered_in_time(
    desk: Desk,
    seconds: Curve,
    callers: int,
    patience: float,
    *,
    until: float,
    pause: float = 0.0,
    rows: int = 1,
) -> int:
    """Rows answered in time by `until`, of callers who ask again when answered or out of patience.

    Args:
        desk: with one lane, or several that do not disturb each other.
        seconds: t(batch).
        callers: how many ask at once.
        patience: of each.
        until: the time at which it ends.
        pause: seconds between an answer and the next request.
        rows: of a request.
    """
    queue = Queue()
    asking = [0.0] * callers
    waiting: list[Request] = []
    good = 0
    while True:
        heads = [lane.running[0] for lane in desk.lanes if lane.running]
        ends = [batch.started + seconds(batch.run_rows) for batch in heads]
        gives_up = [request.deadline for request in waiting]
        desk.now = max(desk.now, min([*asking, *ends, *gives_up, desk.policy.wake_at]))
        if desk.now > until:
            return good
        for batch, end in zip(heads, ends, strict=True):
            if end <= desk.now:
                desk.finish(batch)
        served = [request for request in waiting if request in desk.answered]
        gone = [t for t in waiting if t.deadline <= desk.now and t not in served]
        good += rows * len(served)
        desk.answered.clear()
        for request in gone:
            desk.withdraw(request)
        waiting = [request for request in waiting if request not in served and request not in gone]
        asking += [desk.now + pause] * (len(served) + len(gone))
        due = [at for at in asking if at <= desk.now]
        asking = [at for at in asking if at > desk.now]
        waiting += [desk.submit(queue, rows, deadline=desk.now + patience) for _ in due]
        desk.launch()


SLOW = Curve(10 * MS, 40 * MS)


@pytest.mark.parametrize("sizes", [(), (1, 2, 4, 8)])
@pytest.mark.parametrize("callers", [8, 100])
def test_a_full_batch_that_comes_too_late_is_made_smaller(
    callers: int, sizes: tuple[int, ...]
) -> None:
    """330 ms for eight rows, 170 for four: 23 a second could be answered within 300 ms."""
    desk = Desk(max_batch_size=8, batch_sizes=sizes)
    good = answered_in_time(desk, SLOW, callers, 0.3, until=60.0)
    assert good > 20 * 60
    assert desk.shrunk


def test_those_without_a_deadline_do_not_keep_the_others_from_a_smaller_batch() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=8)
    desk.teach(queue, 1, 2, 4, 8, seconds=SLOW)
    patient = desk.submit(queue)
    hasty = [desk.submit(queue, deadline=0.3) for _ in range(7)]
    (batch,) = desk.launch()
    assert batch.entries == hasty[:4]
    assert patient.state is not EXPIRED
    desk.finish(batch, SLOW(4))
    (batch,) = desk.launch()
    assert batch.entries == hasty[4:6]  # 90 ms are left for these, or for nobody
    desk.finish(batch, desk.now + SLOW(2))
    desk.run(SLOW)
    assert patient in desk.answered


def test_a_better_priority_has_its_place_in_a_smaller_batch() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=8)
    desk.teach(queue, 1, 2, 4, 8, seconds=SLOW)
    others = [desk.submit(queue, deadline=1.0) for _ in range(7)]
    first = desk.submit(queue, level=1, deadline=0.1)
    (batch,) = desk.launch()
    assert batch.size == 2
    assert first in batch.entries
    desk.run(SLOW)
    assert sorted(map(id, desk.answered)) == sorted(map(id, [first, *others]))


def test_a_request_of_many_rows_is_not_passed_over_for_small_ones() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=8)
    desk.teach(queue, 1, 2, 4, 8, seconds=SLOW)
    large = desk.submit(queue, 4, deadline=0.19)
    for _ in range(4):
        desk.submit(queue, deadline=0.2)
    (batch,) = desk.launch()
    assert batch.entries == [large]


def test_bursts_with_long_pauses_are_not_lost_to_trying_again() -> None:
    """An estimate grows old between them, and is not tried anew at the price of everybody."""
    desk = Desk(max_batch_size=8)
    good = answered_in_time(desk, SLOW, 8, 0.3, until=600.0, pause=5 * TRUST)
    assert good > 0.4 * 8 * 600 / (5 * TRUST + 0.3)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    first=st.floats(0.01 * MS, 50 * MS),
    each=st.sampled_from([0.0, 0.1 * MS, 1 * MS, 10 * MS, 40 * MS]),
    power=st.sampled_from([0.8, 1.0, 1.3]),
    largest=st.sampled_from([1, 2, 3, 6, 8, 32]),
    padded=st.booleans(),
    callers=st.integers(1, 40),
    rows=st.sampled_from([1, 1, 1, 2, 5]),
    slack=st.sampled_from([1.02, 1.2, 2.0, 5.0, 20.0]),
    lanes=st.sampled_from([1, 1, 2]),
    slots=st.integers(1, 4),
)
def test_whoever_can_be_answered_alone_in_time_is_not_answered_never(
    first: float,
    each: float,
    power: float,
    largest: int,
    padded: bool,
    callers: int,
    rows: int,
    slack: float,
    lanes: int,
    slots: int,
) -> None:
    curve = Curve(first, each, power)
    rows = min(rows, largest)
    powers = {1 << n for n in range(6) if 1 << n < largest}
    sizes = tuple(sorted({*powers, largest})) if padded else ()
    desk = Desk(max_batch_size=largest, lanes=lanes, homes=(None,) * slots, batch_sizes=sizes)
    patience = slack * curve(desk.policy.run_rows(rows))
    until = 30 * (patience + curve(largest))
    assert answered_in_time(desk, curve, callers, patience, until=until, rows=rows) > 0
