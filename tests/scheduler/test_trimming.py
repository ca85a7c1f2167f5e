"""Batches that are cut down to a smaller allowed size, because padding would cost more."""

import math

import pytest

from tests.scheduler.harness import MS, AnyBatch, Desk, linear
from trtasync.scheduler import LaneState, Queue, Request
from trtasync.scheduler.cuts import EXTRA

SIZES = (1, 2, 4, 8, 16, 32)


def proportional(rows: int) -> float:
    """No fixed part: padding costs the most."""
    return rows * MS


def desk_of(queue: Queue, **options: object) -> Desk:
    """One lane, sizes padded up to powers of two, times known."""
    settings = {"max_batch_size": 32, "batch_sizes": SIZES, "homes": (None,) * 4, **options}
    desk = Desk(**settings)  # type: ignore[arg-type]  # any of its options
    desk.teach(queue, *SIZES, seconds=proportional)
    return desk


def launched(desk: Desk) -> AnyBatch:
    (batch,) = desk.launch()
    return batch


def test_the_rest_goes_with_the_next_batch() -> None:
    queue = Queue()
    desk = desk_of(queue)
    requests = [desk.submit(queue) for _ in range(17)]
    first = launched(desk)
    assert (first.size, first.run_rows) == (16, 16)
    assert first.entries == requests[:16]
    assert desk.policy.queued == 1
    later = desk.submit(queue)
    desk.finish(first, 16 * MS)
    second = launched(desk)
    assert second.entries == [requests[16], later]
    assert second.slot is not first.slot


@pytest.mark.parametrize("rows", SIZES)
def test_an_allowed_size_is_not_cut(rows: int) -> None:
    queue = Queue()
    desk = desk_of(queue)
    for _ in range(rows):
        desk.submit(queue)
    assert launched(desk).size == rows


@pytest.mark.parametrize(("rows", "goes"), [(17, 16), (24, 16), (27, 16), (28, 28), (31, 31)])
def test_it_is_cut_when_a_row_then_takes_less_time(rows: int, goes: int) -> None:
    queue = Queue()
    desk = desk_of(queue)
    # 16 rows 2.6 ms, 32 rows 4.5 ms: even at 27.7
    desk.teach(queue, *SIZES, *SIZES, *SIZES, seconds=lambda size: (0.7 + 0.119 * size) * MS)
    for _ in range(20):
        desk.teach(queue, *SIZES, seconds=lambda size: (0.7 + 0.119 * size) * MS)
    for _ in range(rows):
        desk.submit(queue)
    assert launched(desk).size == goes


def test_what_gains_next_to_nothing_is_not_cut() -> None:
    queue = Queue()
    desk = desk_of(queue)
    short = 0.9 * EXTRA / 16
    for _ in range(60):
        desk.teach(queue, *SIZES, seconds=lambda size: size * short)
    for _ in range(17):
        desk.submit(queue)
    assert launched(desk).size == 17


def test_a_flat_curve_is_never_cut() -> None:
    queue = Queue()
    desk = desk_of(queue)
    for _ in range(60):
        desk.teach(queue, *SIZES, seconds=lambda size: 5 * MS)
    for _ in range(17):
        desk.submit(queue)
    assert launched(desk).size == 17


def test_an_unknown_size_is_not_cut_to() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=32, batch_sizes=(1, 16, 32), homes=(None,) * 4)
    desk.teach(queue, 1, 32, seconds=proportional)
    for _ in range(17):
        desk.submit(queue)
    assert launched(desk).size == 17


def test_without_a_free_slot_it_is_not_cut() -> None:
    queue = Queue()
    desk = desk_of(queue, homes=(None,))
    for _ in range(17):
        desk.submit(queue)
    assert launched(desk).size == 17


def test_tritons_rule_does_not_cut() -> None:
    queue = Queue()
    desk = desk_of(queue, max_queue_delay=1 * MS)
    for _ in range(17):
        desk.submit(queue)
    assert desk.launch() == []
    (batch,) = desk.launch(at=1 * MS)
    assert batch.size == 17


def test_any_size_is_run_where_none_is_given() -> None:
    queue = Queue()
    desk = desk_of(queue, batch_sizes=())
    for _ in range(17):
        desk.submit(queue)
    assert launched(desk).size == 17


def test_requests_of_several_rows_stay_whole() -> None:
    queue = Queue()
    desk = desk_of(queue)
    big = desk.submit(queue, 15)
    other = desk.submit(queue, 3)
    first = launched(desk)
    assert first.entries == [big]
    assert (first.size, first.run_rows) == (15, 16)
    desk.finish(first, 16 * MS)
    assert launched(desk).entries == [other]


def test_one_request_is_not_cut() -> None:
    queue = Queue()
    desk = desk_of(queue)
    desk.submit(queue, 17)
    assert launched(desk).size == 17


def test_parts_of_a_split_request_are_all_computed_once() -> None:
    queue = Queue()
    desk = desk_of(queue)
    before = [desk.submit(queue) for _ in range(15)]
    split = desk.submit(queue, 20)  # 17 rows here, 3 in the next slot
    desk.run(proportional)
    assert sorted(map(id, desk.answered)) == sorted(map(id, [*before, split]))


def test_cancelled_rows_are_not_counted() -> None:
    queue = Queue()
    desk = desk_of(queue)
    requests = [desk.submit(queue) for _ in range(20)]
    for request in requests[2:6]:
        desk.withdraw(request)
    batch = launched(desk)
    assert batch.entries == [*requests[:2], *requests[6:]]
    assert batch.run_rows == 16


def test_what_closes_up_over_cancelled_rows_is_cut_too() -> None:
    queue = Queue()
    desk = desk_of(queue)
    requests = [desk.submit(queue) for _ in range(21)]
    desk.withdraw(requests[3])
    desk.withdraw(requests[20])
    batch = launched(desk)  # the desk checks that every row lies where it should
    assert batch.moves
    assert batch.entries == [*requests[:3], *requests[4:17]]
    desk.finish(batch, 16 * MS)
    assert launched(desk).entries == requests[17:19]  # three would run as four


def test_a_request_in_the_rest_can_be_cancelled() -> None:
    queue = Queue()
    desk = desk_of(queue)
    requests = [desk.submit(queue) for _ in range(18)]
    first = launched(desk)
    desk.withdraw(requests[16])
    desk.finish(first, 16 * MS)
    assert launched(desk).entries == [requests[17]]
    assert desk.policy.queued == 0


@pytest.mark.parametrize("urgent", [{"deadline": 60 * MS}, {"level": 1}])
def test_the_most_urgent_is_not_left_behind(urgent: dict[str, float]) -> None:
    queue = Queue()
    desk = desk_of(queue)
    for _ in range(16):
        desk.submit(queue, deadline=100 * MS)
    desk.submit(queue, **urgent)  # type: ignore[arg-type]  # either of them
    assert launched(desk).size == 17


def test_those_who_make_it_in_this_batch_only_go_with_it() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=32, batch_sizes=SIZES, homes=(None,) * 4)
    desk.teach(queue, *SIZES, seconds=linear)
    requests = [desk.submit(queue, deadline=7.0 * MS) for _ in range(16)]
    requests += [desk.submit(queue, deadline=7.5 * MS) for _ in range(4)]
    (batch,) = desk.launch(at=2.0 * MS)
    assert batch.size == 20  # done at 6.2; without the rest it would be done at 4.6 and 6.0 + HASTE
    desk.finish(batch, 6.2 * MS)
    assert desk.policy.expired == 0
    assert len(desk.answered) == 20


def test_what_has_time_enough_is_cut_off() -> None:
    queue = Queue()
    desk = desk_of(queue)
    for _ in range(16):
        desk.submit(queue, deadline=1000 * MS)
    rest = desk.submit(queue, deadline=1001 * MS)
    batch = launched(desk)
    assert batch.size == 16
    assert rest not in batch.entries


@pytest.mark.parametrize("levels", [(1, 9, 2), (9, 9, 5)])
def test_a_better_priority_is_not_left_behind_a_worse_one(levels: tuple[int, int, int]) -> None:
    queue = Queue()
    desk = desk_of(queue)
    first, middle, last = levels
    desk.submit(queue, level=first)
    for _ in range(15):
        desk.submit(queue, level=middle)
    desk.submit(queue, level=last)
    assert launched(desk).size == 17


@pytest.mark.parametrize(("rows", "goes"), [(9, 27), (17, 17), (12, 24), (15, 30)])
def test_what_counts_is_what_is_left_of_whole_requests(rows: int, goes: int) -> None:
    queue = Queue()
    desk = Desk(max_batch_size=32, batch_sizes=SIZES, homes=(None,) * 4)
    desk.teach(queue, *SIZES, seconds=lambda size: (0.55 + 0.078 * size) * MS)
    while desk.policy.queued + rows <= 32:
        desk.submit(queue, rows)
    assert launched(desk).size == goes


def test_the_rest_may_go_at_once_where_there_is_room() -> None:
    queue = Queue()
    lanes = [LaneState(0), LaneState(1)]
    desk = desk_of(queue, lanes=lanes)
    desk.teach_contention(queue, 0.0, *SIZES)
    requests = [desk.submit(queue) for _ in range(17)]
    first, second = desk.launch()
    assert [first.size, second.size] == [16, 1]
    assert first.lane != second.lane
    assert second.entries == requests[16:]


@pytest.mark.parametrize("rows", range(1, 33))
def test_nothing_is_lost(rows: int) -> None:
    queue = Queue()
    desk = desk_of(queue)
    requests: list[Request] = [desk.submit(queue) for _ in range(rows)]
    desk.run(proportional)
    assert sorted(map(id, desk.answered)) == sorted(map(id, requests))
    assert (desk.policy.queued, desk.policy.in_flight) == (0, 0)
    assert desk.policy.wake_at == math.inf


def test_the_reference_curve_is_cut_where_it_pays() -> None:
    """t(b) = 1.0 + 0.1 b ms: 17 rows in 32 take 4.2 ms, 16 take 2.6."""
    queue = Queue()
    desk = Desk(max_batch_size=32, batch_sizes=SIZES, homes=(None,) * 4)
    desk.teach(queue, *SIZES, seconds=linear)
    for _ in range(17):
        desk.submit(queue)
    assert launched(desk).size == 16
