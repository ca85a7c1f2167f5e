"""Callers give up: before, while and after their rows are staged, and while they run."""

from tests.scheduler.harness import MS, Desk
from trtasync.scheduler import Queue
from trtasync.scheduler.requests import Entry


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
