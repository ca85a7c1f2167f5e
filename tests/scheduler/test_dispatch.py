"""When a batch goes: at once on an idle device, on a busy one when it pays."""

import math

import pytest

from tests.scheduler.harness import MS, SIZES, Desk, busy_desk, linear
from trtasync.scheduler import LaneState, Queue
from trtasync.scheduler.dispatch import HASTE, PATIENCE


@pytest.mark.parametrize("rows", [1, 3, 32])
def test_idle_device_dispatches_at_once_whatever_the_size(rows: int) -> None:
    queue = Queue()
    desk = Desk(max_batch_size=32)
    desk.teach(queue, *SIZES)
    request = desk.submit(queue, rows)
    (batch,) = desk.launch()
    assert batch.entries == [request]
    assert (batch.lane, batch.size, batch.run_rows) == (0, rows, rows)
    assert (desk.policy.queued, desk.policy.in_flight) == (0, rows)
    desk.finish(batch, 1 * MS)
    assert desk.answered == [request]
    assert (desk.policy.queued, desk.policy.in_flight) == (0, 0)


def test_requests_of_one_turn_go_together_up_to_the_largest_batch() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=4)
    for _ in range(6):
        desk.submit(queue)
    (batch,) = desk.launch()
    assert batch.size == 4
    assert desk.policy.queued == 2
    desk.finish(batch, 1 * MS)
    (rest,) = desk.launch()
    assert rest.size == 2


def test_nothing_to_do_means_never_wake() -> None:
    desk = Desk()
    assert desk.launch() == []
    assert desk.policy.wake_at == math.inf


def test_on_a_busy_device_a_batch_grows_until_the_running_one_ends() -> None:
    queue = Queue()
    desk, first = busy_desk(queue)
    for step in range(5):
        desk.submit(queue)
        assert desk.launch(at=0.1 * MS * step) == []
    assert desk.policy.wake_at == pytest.approx(linear(1))  # its predicted end
    desk.finish(first, 1.05 * MS)
    (second,) = desk.launch()
    assert second.size == 5


def test_a_second_batch_goes_where_the_device_has_room() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=32, lanes=3)
    desk.teach(queue, *SIZES)
    desk.teach_contention(queue, 0.5, *SIZES)
    desk.submit(queue)
    desk.launch()
    desk.submit(queue)
    assert desk.launch() == []
    patience = PATIENCE * 0.5**2 * linear(1)
    assert desk.policy.wake_at == pytest.approx(patience)
    (second,) = desk.launch(at=desk.policy.wake_at)
    assert (second.lane, second.size) == (1, 1)
    desk.submit(queue)  # two halves are all of it
    assert desk.launch(at=patience + PATIENCE * linear(1)) == []
    desk.finish(second)
    assert len(desk.launch()) == 1


def test_the_emptier_the_device_the_sooner_a_second_batch_goes() -> None:
    waits = []
    for contention in (0.0, 0.2, 0.4, 0.8):
        queue = Queue()
        desk = Desk(max_batch_size=32, lanes=2)
        desk.teach(queue, *SIZES)
        desk.teach_contention(queue, contention, *SIZES)
        desk.submit(queue)
        desk.launch()
        desk.submit(queue)
        went = bool(desk.launch())
        waits.append(0.0 if went else desk.policy.wake_at)
    assert waits[0] == 0.0
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(linear(1))  # not beyond the end of what runs


def test_with_several_at_work_only_an_end_lets_the_next_one_go() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=4, lanes=3)
    desk.teach(queue, 1, 2, 4)
    desk.teach_contention(queue, 1.0, 1, 2, 4)
    desk.submit(queue, 4)
    desk.submit(queue, 4)
    first, _ = desk.launch()
    desk.submit(queue)
    assert desk.launch(at=2 * linear(4)) == []  # they take longer together
    assert desk.policy.wake_at == math.inf
    desk.finish(first)
    (third,) = desk.launch()  # the other one is overdue and alone
    assert third.size == 1


@pytest.mark.parametrize("theirs", [50 * MS, math.inf])
def test_on_a_full_device_even_a_full_batch_waits_if_it_and_they_have_deadlines(
    theirs: float,
) -> None:
    queue = Queue()
    desk = Desk(max_batch_size=4, lanes=3)
    desk.teach(queue, 1, 2, 4)
    desk.teach_contention(queue, 1.0, 1, 2, 4)
    for _ in range(2):
        desk.submit(queue, 4, deadline=theirs)
    first, _ = desk.launch()
    desk.submit(queue, 4, deadline=50 * MS)
    if theirs == math.inf:
        assert len(desk.launch()) == 1  # it is the only one with anything to lose
        return
    assert desk.launch() == []
    desk.finish(first, linear(4))
    (third,) = desk.launch()
    assert third.size == 4


@pytest.mark.parametrize("contention", [0.3, 0.8])
def test_the_patience_is_that_of_the_oldest_row_and_in_the_square_of_the_pressure(
    contention: float,
) -> None:
    queue = Queue()
    desk = Desk(max_batch_size=32, lanes=2)
    slow = [100 * linear(size) for size in SIZES]
    desk.teach(queue, *SIZES, seconds=lambda rows: slow[SIZES.index(rows)] if rows > 1 else 1 * MS)
    desk.teach_contention(queue, contention, *SIZES)
    desk.submit(queue, 32)
    desk.launch()
    desk.now = 0.5 * MS
    oldest = desk.submit(queue)
    patience = PATIENCE * contention**2 * 1 * MS
    desk.submit(queue)
    assert desk.launch(at=0.5 * MS + 0.9 * patience) == []
    later = desk.submit(queue)
    assert desk.launch() == []
    assert desk.policy.wake_at == pytest.approx(0.5 * MS + patience)
    (second,) = desk.launch(at=desk.policy.wake_at)
    assert (second.entries[0], second.entries[-1]) == (oldest, later)


def test_patience_is_measured_in_what_the_smallest_allowed_size_takes() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=32, batch_sizes=(8, 32), lanes=2)
    desk.teach(queue, 8, 32)
    desk.teach_contention(queue, 0.5, 8, 32)
    desk.submit(queue, 32)
    desk.launch()
    desk.submit(queue)
    assert desk.launch() == []
    assert desk.policy.wake_at == pytest.approx(PATIENCE * 0.5**2 * linear(8))


def test_an_idle_lane_of_a_full_device_is_not_used_for_a_part_of_a_batch() -> None:
    queue = Queue()
    desk, _ = busy_desk(queue)
    desk.submit(queue)
    assert desk.launch(at=0.5 * MS) == []
    assert desk.policy.wake_at == pytest.approx(linear(1))
    assert len(desk.launch(at=desk.policy.wake_at)) == 1


def test_a_short_batch_that_must_go_now_goes_beside_two_long_ones_without_deadlines() -> None:
    """It is the only one with anything to lose, and a lane is free (docs/policies.md, rule 5)."""
    long, short = Queue(), Queue()
    desk = Desk(max_batch_size=4, lanes=3)
    desk.teach(long, 1, 2, 4, seconds=lambda rows: 50 * MS)
    desk.teach_contention(long, 0.9, 1, 2, 4)
    desk.teach(short, 1, 2, 4)
    for _ in range(2):
        desk.submit(long, 4)
    assert len(desk.launch()) == 2
    request = desk.submit(short, deadline=12 * MS)
    (batch,) = desk.launch(at=12 * MS - linear(1) - HASTE)
    assert batch.entries == [request]


def test_a_second_batch_goes_when_it_is_full() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=4, lanes=2)
    desk.teach(queue, 1, 2, 4)
    desk.teach_contention(queue, 1.0, 1, 2, 4)
    desk.submit(queue)
    desk.launch()
    desk.submit(queue, 3)
    assert desk.launch() == []
    desk.submit(queue)
    (second,) = desk.launch()
    assert second.size == 4


def test_a_second_batch_goes_when_nothing_is_known() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=4, lanes=2)
    desk.submit(queue)
    desk.launch()
    desk.submit(queue)
    (second,) = desk.launch()  # for all it knows the first one ends at once
    assert (second.lane, len(desk.running)) == (1, 2)


def test_a_second_batch_goes_when_the_slack_is_used_up() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=32, lanes=2)
    desk.teach(queue, *SIZES)
    desk.teach_contention(queue, 1.0, *SIZES)
    desk.submit(queue, 30)
    desk.launch()
    desk.submit(queue)
    desk.submit(queue, deadline=8 * MS)
    desk.submit(queue, deadline=5 * MS)
    assert desk.launch() == []
    latest = 5 * MS - linear(4) - HASTE
    assert desk.policy.wake_at == pytest.approx(latest)
    assert desk.launch(at=latest - 0.01 * MS) == []
    (second,) = desk.launch(at=desk.policy.wake_at)
    assert second.size == 3
    assert desk.policy.expired == 0


def test_the_alarm_for_a_deadline_may_ring_late() -> None:
    queue = Queue()
    desk, _ = busy_desk(queue)
    request = desk.submit(queue, deadline=6 * MS)
    assert desk.launch() == []
    (second,) = desk.launch(at=desk.policy.wake_at + 1.5 * MS)
    assert second.entries == [request]
    assert desk.policy.expired == 0


def test_slack_counts_the_size_that_will_run() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=8, lanes=2, batch_sizes=(8,))
    desk.teach(queue, 8, seconds=lambda rows: 4 * MS)
    desk.teach_contention(queue, 1.0, 8)
    desk.submit(queue)
    desk.launch()
    request = desk.submit(queue, deadline=9 * MS)
    assert desk.launch() == []
    assert desk.policy.wake_at == pytest.approx(5 * MS - HASTE)
    (second,) = desk.launch(at=desk.policy.wake_at)
    assert second.entries == [request]


def test_full_lanes_take_nothing_more() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=4, lanes=2)
    for _ in range(3):
        desk.submit(queue, 4)
    first, second = desk.launch()
    assert {first.lane, second.lane} == {0, 1}
    desk.finish(second, 1 * MS)
    (third,) = desk.launch()
    assert third.lane == second.lane


def test_a_deadline_sends_nobody_behind_the_running_one_early() -> None:
    """It would begin when that ends all the same, with fewer rows."""
    queue = Queue()
    desk = Desk(max_batch_size=32, lanes=[LaneState(0, depth=2)])
    desk.teach(queue, *SIZES)
    desk.submit(queue, 32)
    desk.launch()
    desk.submit(queue, deadline=linear(32) + linear(1) + 0.5 * MS)
    assert desk.launch(at=linear(32) - 0.5 * MS) == []  # HASTE before its last moment and later
    desk.submit(queue)
    (batch,) = desk.launch(at=linear(32))
    assert batch.size == 2


def test_a_device_of_its_own_is_idle_by_itself() -> None:
    queue = Queue()
    lanes = [LaneState(0, device=0), LaneState(1, device=0), LaneState(2, device=1)]
    desk = Desk(max_batch_size=32, lanes=lanes)
    desk.teach(queue, *SIZES)
    desk.submit(queue)
    desk.launch()
    desk.submit(queue)
    (second,) = desk.launch()
    assert second.lane == 2


def test_the_next_batch_is_enqueued_shortly_before_the_running_one_ends() -> None:
    queue = Queue()
    desk, _ = busy_desk(queue, lanes=[LaneState(0, depth=2)], lead=0.2 * MS)
    desk.submit(queue)
    assert desk.launch() == []
    assert desk.policy.wake_at == pytest.approx(0.9 * MS)
    assert desk.launch(at=0.89 * MS) == []
    (second,) = desk.launch(at=desk.policy.wake_at)
    assert second.lane == 0
    # full: not even a full batch goes now
    desk.submit(queue, 32)
    assert desk.launch() == []
    assert desk.policy.wake_at == math.inf


def test_a_full_batch_is_enqueued_behind_the_running_one_at_once() -> None:
    queue = Queue()
    desk, _ = busy_desk(queue, lanes=[LaneState(0, depth=2)])
    desk.submit(queue, 32)
    assert len(desk.launch()) == 1


def test_a_lane_ends_when_its_last_batch_does() -> None:
    queue = Queue()
    desk, first = busy_desk(queue, lanes=[LaneState(0, depth=3)])
    lane = desk.lanes[0]
    desk.submit(queue, 32)
    desk.launch(at=0.5 * MS)
    assert lane.ends_at(desk.now) == pytest.approx(linear(1) + linear(32))
    desk.finish(first, 2 * MS)
    assert lane.ends_at(desk.now) == pytest.approx(0.5 * MS + linear(32))
    assert lane.ends_at(1.0) == 1.0  # overdue: any moment now
