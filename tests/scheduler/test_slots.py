"""Which slot a batch forms in, and which lane it then runs on."""

import math
from typing import cast

import pytest

from tests.scheduler.harness import MS, SIZES, Desk, Slot, asked
from trtasync.scheduler import Batch, LaneState, Policy, PolicyOptions, Queue
from trtasync.scheduler.states import EXPIRED


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


def test_an_idle_device_is_left_idle_if_all_that_forms_turns_out_to_be_late() -> None:
    late, other = Queue(), Queue()
    lanes = [LaneState(0, device=0), LaneState(1, device=1)]
    desk = Desk(max_batch_size=32, lanes=lanes, homes=(0, 0, 1))
    for queue in (late, other):
        desk.teach(queue, *SIZES)
    running = [desk.submit(late, 32), desk.submit(other, 32)]
    first, second = desk.launch()
    assert (first.lane, second.lane) == (0, 1)
    missed = desk.submit(late, deadline=2 * MS)
    desk.finish(second, 3 * MS)
    assert desk.launch() == []
    assert missed.state is EXPIRED
    desk.withdraw(missed)
    desk.finish(first, 4 * MS)
    assert desk.launch() == []
    assert desk.policy.wake_at == math.inf
    assert sorted(map(id, desk.answered)) == sorted(map(id, running))


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


def test_the_policy_needs_nothing_of_a_slot_but_its_lane() -> None:
    policy = Policy(PolicyOptions(max_batch_size=2), [LaneState(0)], [Slot()])
    request = asked(Queue())
    assert policy.hold(request)
    batch = request.batch
    assert policy.next_batch(0.0) is batch
    assert batch is not None
    policy.finished(cast(Batch[Slot], batch), 1.0, 1.0)
    assert policy.in_flight == 0
