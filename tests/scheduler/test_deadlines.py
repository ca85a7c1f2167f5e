"""Who is left out because no answer would come in time, and who is taken in again."""

import math

import pytest

from tests.scheduler.harness import MS, SIZES, Desk, asked, linear
from trtasync.scheduler import Queue
from trtasync.scheduler.cost import TRUST
from trtasync.scheduler.expired import GRACE
from trtasync.scheduler.states import EXPIRED


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
