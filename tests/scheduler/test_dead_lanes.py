"""Lanes die: what formed for them goes elsewhere, and their slots are not used again."""

import pytest

from tests.scheduler.harness import MS, SIZES, Desk, slot_of
from trtasync.scheduler import Queue


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


def test_a_slot_that_was_lent_when_its_lane_died_is_not_used_again() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=1, lanes=2, homes=(0, 0, 1, 1))
    desk.submit(queue)
    (batch,) = desk.launch()
    lane, slot = batch.lane, slot_of(batch)
    desk.finish(batch, 1 * MS, lent=True)
    assert desk.lent == [slot]
    assert desk.lane_died(lane)
    desk.come_home(slot)
    assert slot not in desk.policy.slots
    later = [desk.submit(queue) for _ in range(3)]
    used = {id(request.batch.slot) for request in later if request.batch is not None}
    assert len(used) == 2  # those of the other lane
    assert id(slot) not in used
    desk.run()
    assert desk.answered[1:] == later
