"""With many slots there is no line to fill holes from: batches that form later give their rows."""

from collections.abc import Collection

import pytest

from tests.scheduler.harness import MS, Desk
from trtasync.scheduler import LaneState, Queue
from trtasync.scheduler.states import EXPIRED


def crowded(
    count: int, slots: int = 4, left: Collection[object] = ()
) -> tuple[Desk, Queue, list[object]]:
    """A lane at work, and rows behind it in batches of four. Nobody waits for those in `left`."""
    desk = Desk(
        max_batch_size=4,
        homes=(None,) * slots,
        abandoned=lambda batch: [entry for entry in batch.entries if entry in left],
    )
    queue = Queue()
    desk.teach(queue, 1, 2, 4)
    desk.submit(queue, 4)
    desk.launch()
    return desk, queue, [desk.submit(queue) for _ in range(count)]


def test_holes_are_filled_from_the_next_batch_in_order() -> None:
    desk, _, waiting = crowded(8)
    for gone in (0, 2):
        desk.withdraw(waiting[gone])  # type: ignore[arg-type]  # a request
    desk.finish(desk.running[0], 2 * MS)
    (batch,) = desk.launch()
    assert batch.entries == [waiting[1], waiting[3], waiting[4], waiting[5]]
    desk.finish(batch, 4 * MS)
    (batch,) = desk.launch()
    assert batch.entries == waiting[6:]
    assert desk.policy.queued == 0


def test_a_batch_that_gave_all_its_rows_is_no_more() -> None:
    desk, _, waiting = crowded(6)
    for gone in (0, 1):
        desk.withdraw(waiting[gone])  # type: ignore[arg-type]  # a request
    desk.finish(desk.running[0], 2 * MS)
    (batch,) = desk.launch()
    assert batch.entries == waiting[2:]
    assert desk.policy.forming == []
    desk.finish(batch, 4 * MS)
    assert len([slot for slot in desk.slots if slot in desk.policy.slots]) == len(desk.slots)


@pytest.mark.parametrize("count", [6, 9])
def test_a_batch_that_everybody_left_gives_none(count: int) -> None:
    """Their leaving is seen to when they are looked at: as the batch before theirs goes."""
    left: list[object] = []
    desk, _, waiting = crowded(count, left=left)
    left += [waiting[0], *waiting[4:8]]
    desk.finish(desk.running[0], 2 * MS)
    (batch,) = desk.launch()
    assert batch.entries == [*waiting[1:4], *waiting[8:]]
    assert desk.policy.forming == []
    desk.finish(batch, 4 * MS)
    assert desk.policy.queued == 0
    assert len([slot for slot in desk.slots if slot in desk.policy.slots]) == len(desk.slots)


def test_what_does_not_fit_keeps_its_place_before_those_behind_it() -> None:
    desk, queue, waiting = crowded(4)
    large, small = desk.submit(queue, 3), desk.submit(queue)
    desk.withdraw(waiting[0])  # type: ignore[arg-type]  # a request
    desk.finish(desk.running[0], 2 * MS)
    (batch,) = desk.launch()
    assert batch.entries == waiting[1:]
    desk.finish(batch, 4 * MS)
    (batch,) = desk.launch()
    assert batch.entries == [large, small]


@pytest.mark.parametrize("lanes", [1, 2])
def test_other_queues_keep_their_rows(lanes: int) -> None:
    desk = Desk(max_batch_size=2, lanes=[LaneState(at) for at in range(lanes)], homes=(None,) * 6)
    one, other = Queue(), Queue()
    for queue in (one, other):
        desk.teach(queue, 1, 2)
    for _ in range(lanes):
        desk.submit(one, 2)
    desk.launch()
    first = [desk.submit(one) for _ in range(2)]
    second = [desk.submit(other) for _ in range(2)]
    desk.withdraw(first[0])
    for batch in list(desk.running):
        desk.finish(batch, 2 * MS)
    desk.run()
    assert {id(each) for each in desk.answered} >= {id(first[1]), *map(id, second)}


def test_a_batch_with_a_deadline_is_filled_too() -> None:
    """From batches behind it: nothing waits in the line, which a batch with a deadline looks at."""
    desk, queue, waiting = crowded(3)
    urgent = desk.submit(queue, deadline=20 * MS)
    behind = desk.submit(queue)
    desk.withdraw(waiting[0])  # type: ignore[arg-type]  # a request
    desk.finish(desk.running[0], 2 * MS)
    (batch,) = desk.launch()
    assert batch.entries == [waiting[1], waiting[2], urgent, behind]
    assert desk.policy.queued == 0


def test_who_would_be_late_in_it_does_not_get_a_hole() -> None:
    """It stays behind, where it expires; those behind it are in time."""
    desk, queue, _ = crowded(0)
    first = [desk.submit(queue, level=1) for _ in range(4)]
    late, behind = desk.submit(queue, deadline=2.5 * MS), desk.submit(queue)
    desk.withdraw(first[0])
    desk.finish(desk.running[0], 2 * MS)
    (batch,) = desk.launch()
    assert batch.entries == [*first[1:], behind]
    desk.finish(batch, 4 * MS)
    assert desk.launch() == []
    assert late.state == EXPIRED


def test_nobody_gets_a_hole_who_makes_the_batch_late() -> None:
    """Two rows take 1.2 ms, all four 1.4 ms."""
    desk, queue, waiting = crowded(3)
    urgent = desk.submit(queue, deadline=3.3 * MS)
    behind = [desk.submit(queue) for _ in range(2)]
    for gone in (0, 2):
        desk.withdraw(waiting[gone])  # type: ignore[arg-type]  # a request
    desk.finish(desk.running[0], 2 * MS)
    (batch,) = desk.launch()
    assert batch.entries == [waiting[1], urgent]
    desk.finish(batch, 3.2 * MS)
    (batch,) = desk.launch()
    assert batch.entries == behind
