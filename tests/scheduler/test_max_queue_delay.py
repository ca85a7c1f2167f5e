"""Triton's rule, where it is asked for: wait so long for a preferred size."""

import pytest

from tests.scheduler.harness import MS, SIZES, Desk, linear
from trtasync.scheduler import Queue
from trtasync.scheduler.dispatch import HASTE


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
