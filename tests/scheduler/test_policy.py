"""The policy, in short scripts. Times are in milliseconds where MS is, t(b) = 1.0 + 0.1 b ms."""

import math
from typing import cast

import pytest

from tests.scheduler.harness import MS, AnyBatch, Desk, Slot, asked, linear, slot_of
from trtasync.errors import QueueFull, RequestTooLarge
from trtasync.scheduler import Batch, Chunk, LaneState, Policy, PolicyOptions, Queue, Request
from trtasync.scheduler.cost import TRUST
from trtasync.scheduler.dispatch import HASTE, PATIENCE
from trtasync.scheduler.expired import GRACE
from trtasync.scheduler.queues import AGEING
from trtasync.scheduler.requests import Entry, whole
from trtasync.scheduler.states import EXPIRED, OVER

SIZES = (1, 2, 4, 8, 16, 32)


def busy_desk(queue: Queue, **settings: object) -> tuple[Desk, AnyBatch]:
    """Capacity 32, two lanes of which nothing overlaps; one runs a batch of a row since 0.0."""
    desk = Desk(max_batch_size=32, **{"lanes": 2, **settings})  # type: ignore[arg-type]  # any of its options
    desk.teach(queue, *SIZES)
    desk.teach_contention(queue, 1.0, *SIZES)
    desk.submit(queue)
    (batch,) = desk.launch()
    return desk, batch


# -- an idle device ------------------------------------------------------------------------------


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


# -- a busy device -------------------------------------------------------------------------------


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


# -- slots ---------------------------------------------------------------------------------------


def test_a_batch_in_an_owned_slot_prefers_its_lane_and_takes_any_of_its_device() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=4, lanes=2, homes=(0, 0, 1, 1))
    for _ in range(2):
        desk.submit(queue, 4)
    first, second = desk.launch()
    assert [first.slot.lane, second.slot.lane] == [first.lane, second.lane] == [0, 1]
    desk.submit(queue, 4)
    assert desk.launch() == []
    desk.finish(second, 1 * MS)
    (third,) = desk.launch()
    assert (third.slot.lane, third.lane) == (0, 1)  # its own still runs


@pytest.mark.parametrize("home", [0, 1, 2])
def test_of_idle_lanes_its_own_is_taken(home: int) -> None:
    queue = Queue()
    desk = Desk(max_batch_size=4, lanes=3, homes=(home,))
    desk.submit(queue)
    (batch,) = desk.launch()
    assert batch.lane == home


def test_a_batch_in_an_owned_slot_never_runs_on_another_device() -> None:
    queue = Queue()
    lanes = [LaneState(0, device=0), LaneState(1, device=1)]
    desk = Desk(max_batch_size=4, lanes=lanes, homes=(0, 0, 0))
    desk.submit(queue, 4)
    desk.submit(queue, 4)
    (first,) = desk.launch()
    assert first.lane == 0
    desk.finish(first, 1 * MS)
    (second,) = desk.launch()
    assert second.lane == 0


def test_owned_slots_of_an_idle_device_come_first() -> None:
    queue = Queue()
    lanes = [LaneState(0, device=0), LaneState(1, device=0), LaneState(2, device=1)]
    desk = Desk(max_batch_size=32, lanes=lanes, homes=(0, 0, 1, 1, 2, 2))
    desk.teach(queue, *SIZES)
    desk.submit(queue)
    desk.launch()
    desk.submit(queue)
    (second,) = desk.launch()
    assert second.lane == 2


def test_a_batch_in_an_owned_slot_moves_to_a_device_that_falls_idle() -> None:
    queue = Queue()
    lanes = [LaneState(0, device=0), LaneState(1, device=1)]
    desk = Desk(max_batch_size=32, lanes=lanes, homes=(0, 0, 1, 1))
    desk.teach(queue, *SIZES)
    desk.submit(queue)
    desk.submit(queue, 32)
    first, second = desk.launch()
    assert (first.lane, second.lane) == (0, 1)
    waiting = [desk.submit(queue) for _ in range(3)]
    assert waiting[0].batch is not None
    assert waiting[0].batch.slot.lane == 0
    desk.withdraw(waiting[1])
    desk.finish(second, 4 * MS)
    (third,) = desk.launch()
    assert third.lane == 1
    assert third.entries == [waiting[0], waiting[2]]
    assert (desk.policy.queued, queue.waiting.rows) == (0, 0)


def test_an_idle_device_takes_the_next_batch_if_the_first_turns_out_to_be_late() -> None:
    late, other, patient = Queue(), Queue(), Queue()
    lanes = [LaneState(0, device=0), LaneState(1, device=1)]
    desk = Desk(max_batch_size=32, lanes=lanes, homes=(0, 0, 0, 1))
    for queue in (late, other, patient):
        desk.teach(queue, *SIZES)
    desk.submit(late, 32)
    desk.submit(other, 32)
    first, second = desk.launch()
    assert (first.lane, second.lane) == (0, 1)
    missed = desk.submit(late, deadline=2 * MS)
    waiting = desk.submit(patient)
    desk.finish(second, 3 * MS)
    (third,) = desk.launch()
    assert (third.entries, third.lane) == ([waiting], 1)
    assert missed.state is EXPIRED


def test_pooled_slots_go_to_whatever_lane_is_free() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=1, lanes=2, homes=(None, None, None))
    for _ in range(3):
        desk.submit(queue)
    first, second = desk.launch()
    desk.finish(second, 1 * MS)
    (third,) = desk.launch()
    assert (first.lane, second.lane, third.lane) == (0, 1, 1)


def test_without_a_free_slot_requests_wait_and_are_staged_when_one_is_free() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=2, homes=(None,))
    requests = [desk.submit(queue) for _ in range(5)]
    assert [request.batch is None for request in requests] == [False, False, True, True, True]
    (first,) = desk.launch()
    desk.finish(first, 1 * MS)
    assert [request.batch is None for request in requests] == [False, False, False, False, True]
    desk.run()
    assert desk.answered == requests


# -- lanes that take several ----------------------------------------------------------------------


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


# -- sizes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "run_rows"), [(1, 1), (2, 3), (3, 3), (4, 8), (8, 8)])
def test_batches_are_padded_up_to_an_allowed_size(rows: int, run_rows: int) -> None:
    desk = Desk(max_batch_size=8, batch_sizes=(1, 3, 8))
    desk.submit(Queue(), rows)
    (batch,) = desk.launch()
    assert (batch.size, batch.run_rows) == (rows, run_rows)
    assert desk.policy.in_flight == rows


def test_the_time_of_a_padded_batch_counts_for_the_size_that_ran() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=8, batch_sizes=(2, 8))
    desk.submit(queue, 3)
    (batch,) = desk.launch()
    desk.finish(batch, 5 * MS)
    assert queue.cost.seconds(8) == pytest.approx(5 * MS)
    assert queue.cost.seconds(4) == 0.0


def test_a_request_larger_than_a_batch_is_split() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=4)
    request = desk.submit(queue, 10)
    assert request.batch is None
    assert request.chunks is not None
    assert [(chunk.offset, chunk.rows) for chunk in request.chunks] == [(0, 4), (4, 4), (8, 2)]
    (first,) = desk.launch()
    assert first.size == 4
    desk.run()
    assert desk.answered == [request]


def test_a_request_that_does_not_fit_the_rest_of_a_batch_is_split() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=4)
    one, three = desk.submit(queue), desk.submit(queue, 3)
    two, four = desk.submit(queue, 2), desk.submit(queue, 4)
    assert (one.row, three.row, two.row) == (0, 1, 0)
    assert four.chunks is not None
    assert [(chunk.offset, chunk.rows, chunk.row) for chunk in four.chunks] == [
        (0, 2, 2),
        (2, 2, 0),
    ]
    desk.run()
    assert desk.answered == [one, three, two, four]


def test_a_split_request_waits_with_what_found_no_slot() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=2, homes=(None,))
    request = desk.submit(queue, 5)
    assert (request.placed, queue.waiting.rows, desk.policy.queued) == (2, 3, 5)
    later = desk.submit(queue)
    desk.run()
    assert desk.answered == [request, later] or desk.answered == [later, request]
    assert desk.policy.unanswered() == 0


# -- a full queue --------------------------------------------------------------------------------


def test_queue_full_counts_rows_and_changes_nothing() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=4, homes=(None,), max_queue_size=6)
    desk.submit(queue, 5)
    with pytest.raises(QueueFull, match="5 rows are waiting and 2 more"):
        desk.submit(queue, 2)
    assert (desk.policy.queued, desk.policy.unanswered(), queue.waiting.rows) == (5, 1, 1)
    desk.submit(queue)
    with pytest.raises(QueueFull):
        desk.submit(Queue())
    # what runs waits no longer
    (batch,) = desk.launch()
    assert batch.size == 4
    desk.submit(queue, 4)


def test_a_request_that_never_fits_is_told_so() -> None:
    desk = Desk(max_queue_size=6)
    with pytest.raises(RequestTooLarge, match="never fits max_queue_size=6"):
        desk.submit(Queue(), 7)
    assert desk.launch() == []


def test_withdrawn_rows_make_room_in_the_queue() -> None:
    queue = Queue()
    desk = Desk(homes=(None,), max_queue_size=6)
    requests = [desk.submit(queue) for _ in range(6)]
    for request in (requests[0], requests[5]):  # one forming, one waiting
        desk.withdraw(request)
        desk.submit(queue)
        with pytest.raises(QueueFull):
            desk.submit(queue)


# -- withdrawals ---------------------------------------------------------------------------------


def test_withdrawn_from_a_forming_batch_the_rest_closes_up() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=8)
    requests = [desk.submit(queue, rows) for rows in (1, 2, 1, 3)]
    desk.withdraw(requests[0])
    desk.withdraw(requests[2])
    assert desk.policy.queued == 5
    (batch,) = desk.launch()  # the desk checks that every row lies where it should
    assert batch.moves == [(1, 0, 2), (4, 2, 3)]
    assert batch.entries == [requests[1], requests[3]]
    desk.run()
    assert desk.answered == [requests[1], requests[3]]


def test_the_last_one_withdrawn_gives_the_slot_back() -> None:
    queue, other = Queue(), Queue()
    desk = Desk(homes=(None,))
    requests = [desk.submit(queue), desk.submit(queue)]
    waiting = desk.submit(other)
    desk.withdraw(requests[1])
    assert waiting.batch is None
    desk.withdraw(requests[0])
    assert waiting.batch is not None
    (batch,) = desk.launch()
    assert batch.queue is other


def test_withdrawn_while_waiting() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=1, homes=(None,))
    first, second, third = (desk.submit(queue) for _ in range(3))
    desk.withdraw(second)
    assert (desk.policy.queued, desk.policy.unanswered()) == (2, 2)
    desk.run()
    assert desk.answered == [first, third]


def test_withdrawn_while_split_over_a_batch_and_the_queue() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=4, homes=(None,))
    one = desk.submit(queue)
    big = desk.submit(queue, 9)
    assert (big.placed, queue.waiting.rows, desk.policy.queued) == (3, 6, 10)
    desk.withdraw(big)
    assert (queue.waiting.rows, desk.policy.queued, desk.policy.unanswered()) == (0, 1, 1)
    (batch,) = desk.launch()
    assert batch.entries == [one]


def test_withdrawn_while_split_over_running_forming_and_waiting() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=4, homes=(None, None))
    big = desk.submit(queue, 10)
    (running,) = desk.launch()
    assert (desk.policy.queued, desk.policy.in_flight) == (6, 4)
    desk.withdraw(big)
    assert (desk.policy.queued, desk.policy.in_flight) == (0, 4)
    assert desk.policy.unanswered() == 0
    desk.finish(running, 1 * MS)
    assert desk.policy.in_flight == 0
    assert desk.launch() == []
    assert desk.answered == []


def test_withdrawn_while_running_is_computed_and_dropped() -> None:
    queue = Queue()
    desk = Desk()
    gone, stays = desk.submit(queue), desk.submit(queue)
    (batch,) = desk.launch()
    desk.withdraw(gone)
    assert (desk.policy.in_flight, desk.policy.unanswered()) == (2, 1)
    desk.finish(batch, 1 * MS)
    assert desk.answered == [stays]
    assert desk.policy.in_flight == 0


def test_withdrawing_twice_or_late_changes_nothing() -> None:
    queue = Queue()
    desk = Desk()
    request = desk.submit(queue)
    desk.submit(queue)
    desk.withdraw(request)
    desk.withdraw(request)
    assert desk.policy.queued == 1
    desk.run()
    desk.withdraw(desk.answered[0])
    assert (desk.policy.queued, desk.policy.in_flight) == (0, 0)


def test_room_of_withdrawn_rows_is_filled_from_the_queue_at_launch() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=4, homes=(None,))
    requests = [desk.submit(queue) for _ in range(6)]
    desk.withdraw(requests[1])
    desk.withdraw(requests[2])
    (batch,) = desk.launch()
    assert batch.entries == [requests[0], requests[3], requests[4], requests[5]]


def test_the_hook_is_asked_at_launch_who_has_left() -> None:
    left: set[Entry] = set()
    queue = Queue()
    desk = Desk(abandoned=lambda batch: [entry for entry in batch.entries if entry in left])
    first, second = desk.submit(queue), desk.submit(queue)
    left.add(first)
    (batch,) = desk.launch()
    assert batch.entries == [second]
    desk.withdraw(first)  # as its task does later
    assert (desk.policy.queued, desk.policy.in_flight) == (0, 1)


def test_a_batch_that_everybody_has_left_is_not_launched() -> None:
    queue, other = Queue(), Queue()
    desk = Desk(abandoned=lambda batch: list(batch.entries) if batch.queue is queue else [])
    desk.submit(queue, 6)  # in two parts
    kept = desk.submit(other)
    (batch,) = desk.launch()
    assert batch.entries == [kept]
    assert desk.policy.queued == 0


# -- queues --------------------------------------------------------------------------------------


def test_queues_do_not_share_a_batch() -> None:
    queues = [Queue(), Queue()]
    desk = Desk(lanes=2)
    for queue in queues * 2:
        desk.submit(queue)
    batches = desk.launch()
    assert [(batch.queue, batch.size) for batch in batches] == [(queues[0], 2), (queues[1], 2)]


def test_with_many_shapes_nobody_waits_much_longer_than_a_round() -> None:
    """64 callers in a closed loop over 40 shapes, a quarter of them on one popular shape.

    Serving the shapes by equal shares of time would starve the popular one: 47 ms at the 99th
    percentile on a real model where the oldest first gave 5.
    """
    queues = [Queue() for _ in range(40)]
    desk = Desk(max_batch_size=16)
    for caller in range(64):
        desk.submit(queues[0 if caller % 4 == 0 else caller % 40])
    longest = 0.0
    for _ in range(2000):
        (batch,) = desk.launch()
        callers, end = list(batch.entries), desk.now + (0.05 + 0.05 * batch.size) * MS
        desk.finish(batch, end)
        longest = max(longest, *(end - request.arrival for request in callers))
        for request in callers:
            desk.submit(whole(request).queue)
    alone = 0.1 * MS
    assert longest < 1.5 * 64 * alone


@pytest.mark.parametrize("lanes", [1, 2])
@pytest.mark.parametrize("spare", [1, 2, 6])
def test_between_queues_the_oldest_goes_first(lanes: int, spare: int) -> None:
    queues = [Queue() for _ in range(5)]
    desk = Desk(max_batch_size=2, lanes=lanes, homes=(None,) * (lanes + spare))
    requests = []
    for step in range(40):
        desk.now = 0.1 * MS * step
        # the last queue in excess, the others now and then
        requests += [desk.submit(queues[4]), desk.submit(queues[step % 7 % 5])]
    desk.run()
    place = {request: index for index, request in enumerate(desk.answered)}
    assert len(place) == len(requests)
    for index, request in enumerate(requests):
        # a later one goes before only in the rest of a batch that had its slot already
        overtaken = sum(place[later] < place[request] for later in requests[index + 1 :])
        assert overtaken <= 2 * (lanes + spare)


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("lanes", [1, 2, 3])
@pytest.mark.parametrize("homes", [None, "owned"])
def test_a_rare_shape_does_not_starve(lanes: int, depth: int, homes: str | None) -> None:
    common, rare = Queue(), Queue()
    states = [LaneState(index, depth=depth) for index in range(lanes)]
    slots = [index % lanes if homes else None for index in range(lanes * (depth + 1))]
    desk = Desk(max_batch_size=8, lanes=states, homes=slots)
    desk.teach(common, *SIZES)
    desk.teach(rare, *SIZES)
    waiting: Request | None = None
    for step in range(100):
        while desk.policy.queued < 40:
            desk.submit(common)
        if step == 20:
            waiting = desk.submit(rare)
        desk.launch()
        batch = min(desk.running, key=lambda batch: batch.started)
        desk.finish(batch, desk.now + linear(8) / lanes)
        if waiting in desk.answered:
            break
    assert waiting is not None
    # its turn comes after what was running or enqueued when it came, not at the end of the load
    assert desk.now - waiting.arrival < 6 * depth * linear(8)


def test_the_better_priority_goes_first_between_queues() -> None:
    plain, urgent = Queue(), Queue()
    desk = Desk(max_batch_size=4, homes=(None, None, None))
    desk.submit(plain)
    (first,) = desk.launch()
    desk.submit(plain)
    desk.submit(urgent, level=1)
    desk.finish(first, 1 * MS)
    (second,) = desk.launch()
    assert second.queue is urgent


def test_the_better_priority_gets_the_next_free_slot() -> None:
    first, plain, urgent = Queue(), Queue(), Queue()
    desk = Desk(homes=(None,))
    desk.submit(first)
    desk.submit(plain)
    desk.submit(urgent, level=1)
    desk.run()
    assert [request.queue for request in desk.answered] == [first, urgent, plain]


def test_an_old_request_of_another_queue_overtakes_a_better_level() -> None:
    holder, plain, urgent = Queue(), Queue(), Queue()
    desk = Desk(homes=(None,))
    desk.submit(holder)
    desk.submit(plain, level=6)
    desk.now = 2.5 * AGEING
    desk.submit(urgent, level=5)
    desk.run()
    assert [request.queue for request in desk.answered] == [holder, plain, urgent]


# -- Triton's rule -------------------------------------------------------------------------------


def test_max_queue_delay_waits_even_on_an_idle_device() -> None:
    queue = Queue()
    desk = Desk(max_queue_delay=5 * MS)
    desk.submit(queue)
    assert desk.launch() == []
    assert desk.policy.wake_at == 5 * MS
    desk.now = 3 * MS
    desk.submit(queue)
    assert desk.launch() == []
    assert desk.policy.wake_at == 5 * MS  # the oldest counts
    (batch,) = desk.launch(at=5 * MS)
    assert batch.size == 2


def test_max_queue_delay_ends_with_a_full_batch() -> None:
    desk = Desk(max_batch_size=4, max_queue_delay=5 * MS)
    desk.submit(Queue(), 4)
    assert len(desk.launch()) == 1


def test_a_preferred_size_need_not_wait() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=8, max_queue_delay=5 * MS, preferred_batch_size=(3, 6))
    desk.submit(queue, 2)
    assert desk.launch() == []
    desk.submit(queue)
    (batch,) = desk.launch()
    assert batch.size == 3


def test_max_queue_delay_does_not_count_withdrawn_rows() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=8, max_queue_delay=5 * MS, preferred_batch_size=(3,))
    request = desk.submit(queue, 2)
    desk.withdraw(request)
    desk.submit(queue)
    assert desk.launch() == []


def test_max_queue_delay_gives_way_to_a_deadline() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=8, max_queue_delay=5 * MS)
    desk.teach(queue, *SIZES)
    request = desk.submit(queue, deadline=4 * MS)
    assert desk.launch() == []
    assert desk.policy.wake_at == pytest.approx(4 * MS - linear(1) - HASTE)
    (batch,) = desk.launch(at=desk.policy.wake_at)
    assert batch.entries == [request]


# -- deadlines -----------------------------------------------------------------------------------


def test_left_out_by_the_time_of_the_batch_not_of_one_row() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=32)
    desk.teach(queue, *SIZES)
    tight = desk.submit(queue, deadline=2 * MS)  # enough for t(1) = 1.1, not for t(32) = 4.2
    others = [desk.submit(queue, deadline=10 * MS) for _ in range(31)]
    (batch,) = desk.launch()
    assert batch.entries == others
    assert tight.state is EXPIRED
    assert (desk.policy.expired, desk.policy.queued) == (1, 0)
    assert desk.policy.unanswered() == 32  # its caller still waits for its scope to end
    desk.withdraw(tight)
    assert desk.policy.unanswered() == 31
    desk.run()
    assert desk.answered == others


def test_a_request_alone_may_use_the_time_of_one_row() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=32)
    desk.teach(queue, *SIZES)
    request = desk.submit(queue, deadline=2 * MS)
    (batch,) = desk.launch()
    assert batch.entries == [request]


def test_nothing_is_left_out_on_a_guess() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=32)
    request = desk.submit(queue, deadline=0.001 * MS)
    (batch,) = desk.launch()
    assert batch.entries == [request]


def test_what_waits_for_a_slot_is_left_out_when_its_turn_comes() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=4, homes=(None,))
    desk.teach(queue, *SIZES)
    desk.submit(queue, 4)
    late, fine = desk.submit(queue, deadline=2 * MS), desk.submit(queue, deadline=9 * MS)
    (first,) = desk.launch()
    desk.finish(first, 1.4 * MS)
    assert late.state is EXPIRED
    (second,) = desk.launch()
    assert second.entries == [fine]


def test_when_all_are_left_out_the_next_queue_goes() -> None:
    hopeless, other = Queue(), Queue()
    desk = Desk(max_batch_size=4)
    desk.teach(hopeless, *SIZES)
    desk.submit(hopeless, 4, deadline=1 * MS)
    fine = desk.submit(other)
    (batch,) = desk.launch()
    assert batch.entries == [fine]
    assert desk.policy.expired == 1


def test_a_split_request_is_left_out_as_a_whole() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=4, homes=(None, None))
    desk.teach(queue, *SIZES)
    big = desk.submit(queue, 10, deadline=1 * MS)
    assert desk.launch() == []
    assert big.state is EXPIRED
    assert (desk.policy.queued, queue.waiting.rows, desk.policy.expired) == (0, 0, 1)


def test_a_request_that_has_run_in_part_is_not_left_out() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=4, homes=(None,))
    desk.teach(queue, *SIZES)
    big = desk.submit(queue, 9, deadline=3 * MS)
    for _ in range(3):  # the last part ends after the deadline
        (batch,) = desk.launch()
        desk.finish(batch, desk.now + linear(batch.size))
    assert desk.now > big.deadline
    assert desk.answered == [big]
    assert desk.policy.expired == 0


def test_the_rest_of_a_begun_request_is_not_left_out_of_the_very_batch_it_is_in() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=8, homes=(None,))
    desk.teach(queue, *SIZES)
    first = desk.submit(queue, 4)
    big = desk.submit(queue, 16, deadline=1.5 * MS)  # four rows in the batch, twelve wait
    desk.withdraw(first)
    # four rows (1.4 ms) make it, eight (1.8 ms) do not
    (batch,) = desk.launch()
    assert {big} == {getattr(entry, "whole", entry) for entry in batch.entries}
    desk.withdraw(big)
    desk.finish(batch, 2 * MS)
    assert (desk.policy.queued, desk.policy.in_flight) == (0, 0)


def test_an_old_measurement_lets_a_probe_through() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=4)
    desk.teach(queue, 1, seconds=lambda rows: 50 * MS)  # one slow run
    desk.now = TRUST / 2
    first = desk.submit(queue, deadline=desk.now + 20 * MS)
    assert desk.launch() == []
    assert first.state is EXPIRED
    desk.withdraw(first)
    desk.now = TRUST + 1 * MS
    second = desk.submit(queue, deadline=desk.now + 20 * MS)
    (probe,) = desk.launch()
    assert probe.entries == [second]
    desk.finish(probe, desk.now + 1 * MS)
    third = desk.submit(queue, deadline=desk.now + 20 * MS)
    (batch,) = desk.launch()
    assert batch.entries == [third]


def test_left_out_but_its_deadline_was_moved() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=4)
    desk.teach(queue, *SIZES)
    request = desk.submit(queue, deadline=0.5 * MS)
    assert desk.launch() == []
    assert desk.policy.wake_at == pytest.approx(0.5 * MS + GRACE)
    # nobody withdrew it: its caller still waits, so it is computed after all
    (batch,) = desk.launch(at=desk.policy.wake_at)
    assert batch.entries == [request]
    desk.run()
    assert desk.answered == [request]


def test_readmitted_after_it_had_been_split_and_waiting() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=4, homes=(None,))
    desk.teach(queue, *SIZES)
    big = desk.submit(queue, 9, deadline=0.5 * MS)
    after = desk.submit(queue)
    (batch,) = desk.launch()
    assert batch.entries == [after]
    desk.run()
    assert desk.answered == [after, big]
    assert desk.policy.unanswered() == 0
    assert len(queue.waiting) == queue.waiting.rows == 0


def test_readmitted_from_the_queue_it_waits_once() -> None:
    queue, other = Queue(), Queue()
    desk = Desk(max_batch_size=2, homes=(None,))
    desk.teach(queue, *SIZES)
    desk.submit(other, 2)
    (running,) = desk.launch()
    first = desk.submit(queue, deadline=0.5 * MS)
    behind = [desk.submit(queue, 2) for _ in range(3)]
    desk.finish(running, 1 * MS)
    assert first.state is EXPIRED
    assert desk.policy.queued == 6
    (running,) = desk.launch()
    desk.launch(at=1 * MS + GRACE)  # readmitted while others wait
    assert first.state is not EXPIRED
    assert desk.policy.queued == 5
    assert len(queue.waiting) == 3
    desk.run()
    assert sorted(map(id, desk.answered[1:])) == sorted(map(id, [first, *behind]))


def test_readmitted_while_its_rest_still_stood_in_the_queue() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=4, homes=(None,))
    desk.teach(queue, *SIZES)
    big = desk.submit(queue, 9, deadline=0.5 * MS)  # five rows of it wait ...
    others = [desk.submit(queue, 4, level=1) for _ in range(4)]  # ... behind these
    (batch,) = desk.launch()
    assert batch.entries == others[:1]
    assert big.state is EXPIRED
    desk.launch(at=0.5 * MS + GRACE)
    assert big.state is not EXPIRED
    assert (len(queue.waiting), queue.waiting.rows) == (4, 21)
    desk.run()
    assert desk.answered == [*others, big]


def test_withdrawn_while_left_out() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=4)
    desk.teach(queue, *SIZES)
    request = desk.submit(queue, deadline=0.5 * MS)
    desk.launch()
    desk.withdraw(request)
    assert desk.policy.unanswered() == 0
    assert desk.launch(at=1.0) == []
    assert desk.policy.wake_at == math.inf


def test_parked_by_the_engine_because_its_deadline_had_passed() -> None:
    queue = Queue()
    desk = Desk()
    request = asked(queue, deadline=-math.inf)
    desk.policy.expire(request, desk.now)
    assert (desk.policy.queued, desk.policy.unanswered(), desk.policy.expired) == (0, 1, 1)
    assert desk.launch() == []
    assert desk.policy.wake_at == pytest.approx(GRACE)
    (batch,) = desk.launch(at=GRACE)
    assert batch.entries == [request]


# -- dead lanes ----------------------------------------------------------------------------------


def test_what_formed_for_a_dead_lane_is_formed_elsewhere() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=4, lanes=2, homes=(0, 0, 1, 1))
    desk.teach(queue, *SIZES)
    for _ in range(2):
        desk.submit(queue, 4)
    lost, running = desk.launch()
    assert lost.lane == 0
    requests = [desk.submit(queue) for _ in range(3)]
    desk.withdraw(requests[1])
    assert requests[0].batch is not None
    assert requests[0].batch.slot.lane == 0
    assert desk.lane_died(0)
    assert requests[0].batch.slot.lane == 1
    assert desk.policy.queued == 2
    desk.finish(running, 1.4 * MS)
    (moved,) = desk.launch()
    assert (moved.lane, moved.entries) == (1, [requests[0], requests[2]])
    assert queue.waiting.rows == 0


def test_a_pooled_slot_outlives_the_lane_that_ran_it() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=1, lanes=2, homes=(None, None))
    desk.submit(queue)
    (batch,) = desk.launch()
    desk.finish(batch, 1 * MS)
    assert desk.lane_died(batch.lane)
    for _ in range(2):
        desk.submit(queue)
    assert queue.waiting.rows == 0
    desk.run()
    assert len(desk.answered) == 3


@pytest.mark.parametrize("home", [None, 1])
def test_a_slot_in_flight_on_a_lane_that_dies_is_not_used_again(home: int | None) -> None:
    """The lane may still write to it."""
    queue = Queue()
    desk = Desk(max_batch_size=1, lanes=2, homes=(home, home))
    requests = [desk.submit(queue) for _ in range(2)]
    batches = {batch.lane: batch for batch in desk.launch()}
    lost = batches[0].entries
    assert desk.lane_died(0)
    later = [desk.submit(queue) for _ in range(3)]
    assert queue.waiting.rows == 3  # until the other slot comes back
    desk.finish(batches[1], 1 * MS)
    desk.run()
    assert desk.answered == [*(request for request in requests if request not in lost), *later]
    assert desk.policy.queued == 0


def test_a_slot_of_a_lane_that_dies_while_it_runs_on_another_is_answered_once_more() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=1, lanes=2, homes=(0, 0, 1))
    requests = [desk.submit(queue) for _ in range(3)]
    first, second = desk.launch()
    assert [first.slot.lane, first.lane, second.slot.lane, second.lane] == [0, 0, 1, 1]
    desk.finish(second, 1 * MS)
    (third,) = desk.launch()
    assert (third.slot.lane, third.lane) == (0, 1)
    assert desk.lane_died(0)
    desk.finish(third, 2 * MS)
    assert slot_of(third) not in desk.policy.slots
    later = desk.submit(queue)
    desk.run()
    assert desk.answered == [*requests[1:], later]


def test_the_last_lane_without_a_slot_is_none() -> None:
    """Its slots were in flight on the others when these died, one after the other."""
    queue = Queue()
    desk = Desk(max_batch_size=1, lanes=3, homes=(0, 0, 1, 1, 2, 2))
    for step in range(6):
        desk.now = 0.01 * MS * step
        desk.submit(queue)
    desk.launch()
    desk.now = 1 * MS
    desk.submit(queue)
    for lane in (2, 0, 1, 0):  # slots go round
        desk.finish(desk.lanes[lane].running[0])
        desk.launch()
    assert [lane.running[0].slot.lane for lane in desk.lanes[:2]] == [2, 2]
    assert desk.lane_died(0)
    assert not desk.lane_died(1)  # so that nobody waits for what never comes


def test_parts_of_a_split_request_move_with_their_lane() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=4, lanes=2, homes=(0, 1))
    one = desk.submit(queue)
    big = desk.submit(queue, 5)  # three rows for lane 0, two for lane 1
    assert desk.lane_died(0)
    assert (queue.waiting.rows, desk.policy.queued) == (4, 6)
    (batch,) = desk.launch()
    # the part of three rows does not fit beside the others; parts are not split again
    assert batch.size == 3
    desk.run()
    assert desk.answered == [one, big]


def test_the_last_lane_dies() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=4, lanes=1, homes=(0, 0))
    requests = [desk.submit(queue, 4) for _ in range(3)]
    desk.launch()
    assert not desk.lane_died(0)
    assert desk.launch() == []
    assert desk.policy.in_flight == 0
    assert desk.policy.drain() == requests[1:]
    assert (desk.policy.queued, desk.policy.unanswered()) == (0, 0)


# -- the end -------------------------------------------------------------------------------------


def test_drain_takes_out_what_is_not_running() -> None:
    queue, other = Queue(), Queue()
    desk = Desk(max_batch_size=4, homes=(None, None))
    desk.teach(queue, *SIZES)
    running = desk.submit(queue, 4)
    (batch,) = desk.launch()
    forming = desk.submit(other)
    withdrawn = desk.submit(other)
    desk.withdraw(withdrawn)
    split = desk.submit(other, 5)
    waiting = desk.submit(queue)
    expired = asked(queue, deadline=0.0)
    desk.policy.expire(expired, desk.now)
    drained = desk.policy.drain()
    assert sorted(map(id, drained)) == sorted(map(id, [forming, split, waiting, expired]))
    assert (desk.policy.queued, desk.policy.in_flight, desk.policy.unanswered()) == (0, 4, 1)
    assert desk.policy.drain() == []
    assert desk.launch(at=1.0) == []
    for request in drained:
        desk.withdraw(request)  # as the engine does when it fails them
    desk.finish(batch)
    assert desk.answered == [running]
    assert (desk.policy.queued, desk.policy.in_flight, desk.policy.unanswered()) == (0, 0, 0)


def test_drain_takes_the_rest_of_a_request_that_runs_in_part() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=4, homes=(None,))
    big = desk.submit(queue, 6)
    (batch,) = desk.launch()
    assert desk.policy.drain() == [big]
    assert desk.policy.unanswered() == 0
    desk.finish(batch, 1 * MS)
    assert desk.answered == []
    assert desk.policy.unanswered() == 0


def test_a_failed_batch_teaches_nothing() -> None:
    queue = Queue()
    desk = Desk()
    desk.submit(queue)
    (batch,) = desk.launch()
    desk.finish(batch, 5.0, failed=True)
    assert queue.cost.bound(1) is None
    assert desk.policy.unanswered() == 0


def test_the_policy_needs_nothing_of_a_slot_but_its_lane() -> None:
    policy = Policy(PolicyOptions(max_batch_size=2), [LaneState(0)], [Slot()])
    request = asked(Queue())
    assert policy.hold(request)
    batch = request.batch
    assert policy.next_batch(0.0) is batch
    assert batch is not None
    policy.finished(cast(Batch[Slot], batch), 1.0, 1.0)
    assert policy.in_flight == 0


def test_a_batch_with_a_part_in_it_is_not_plain_even_before_it_is_staged() -> None:
    # The engine asks a plain batch's entries for their futures, which parts do not have.
    split = asked(Queue(), rows=3)
    batch = Batch(split.queue, Slot())
    assert batch.plain
    batch.add(Chunk(split, 0, 2))
    assert not batch.plain
    batch.entries[0].state = OVER
    batch.compact()
    assert not batch.plain
