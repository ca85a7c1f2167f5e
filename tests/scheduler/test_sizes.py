"""Batches are padded up to allowed sizes, and requests split over batches."""

import pytest

from tests.scheduler.harness import MS, Desk, Slot, asked
from trtasync.scheduler import Batch, Chunk, Queue
from trtasync.scheduler.states import OVER


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


def test_a_failed_batch_teaches_nothing() -> None:
    queue = Queue()
    desk = Desk()
    desk.submit(queue)
    (batch,) = desk.launch()
    desk.finish(batch, 5.0, failed=True)
    assert queue.cost.bound(1) is None
    assert desk.policy.unanswered() == 0
