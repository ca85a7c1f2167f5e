"""What counts as within the window."""

import time

import anyio
import pytest

from support.helpers import until
from trtasync.measure.driving import Seen
from trtasync.measure.window import Mark, Span, Window


def window(*, delays: bool = True) -> Window[int]:
    reads = iter(range(100))
    return Window(Span(0.01, 0.05), lambda: next(reads), delays=delays)


@pytest.mark.anyio
async def test_it_opens_after_the_warm_up_and_reads_at_both_edges() -> None:
    seen, found, began = Seen(), window(), time.perf_counter()
    await found(seen)
    assert (found.begin.counts, found.end.counts) == (0, 1)
    assert found.begin.wall - began >= 0.01
    assert found.seconds >= 0.05
    assert found.cpu >= 0.0
    assert not seen.counting
    assert found.delays


@pytest.mark.anyio
async def test_counting_is_on_while_it_is_open_only() -> None:
    seen, states = Seen(), []

    def read() -> None:
        states.append(seen.counting)

    async with anyio.create_task_group() as group:
        group.start_soon(Window(Span(0.0, 60.0), read, delays=False), seen)
        await until(lambda: seen.counting)
        group.cancel_scope.cancel()
    seen = Seen()
    opened = Window(Span(0.0, 0.001), read, delays=False)
    await opened(seen)
    assert states == [False, False, False]
    assert opened.delays == []


@pytest.mark.anyio
@pytest.mark.parametrize("end", ["answered", "refused", "failed", "missed"])
async def test_it_can_last_until_a_request_has_ended_in_it(end: str) -> None:
    seen, reads = Seen(due=[1.0], done=[2.0]), iter(range(100))  # one was answered before it
    opened = Window(Span(0.0, 0.001), lambda: next(reads), until_first=True)
    async with anyio.create_task_group() as group:
        group.start_soon(opened, seen)
        await until(lambda: seen.counting and time.perf_counter() > opened.begin.wall + 0.02)
        assert seen.counting
        if end == "answered":
            seen.due.append(opened.begin.wall)
            seen.done.append(time.perf_counter())
        else:
            setattr(seen, end, 1)
    assert not seen.counting
    assert len(opened.answered(seen)) == (end == "answered")


@pytest.mark.anyio
async def test_it_can_last_until_the_load_has_ended() -> None:
    seen, reads = Seen(), iter(range(100))
    opened = Window(Span(0.0, 0.001), lambda: next(reads), delays=False, to_the_end=True)
    await opened(seen)
    seen.due, seen.done = [opened.begin.wall], [time.perf_counter()]
    opened.close()
    assert len(opened.answered(seen)) == 1
    assert (opened.begin.counts, opened.end.counts) == (0, 1)


def test_answers_and_arrivals_are_counted_by_their_own_moments() -> None:
    found = window()
    found.begin, found.end = Mark(10.0, 1.0, 0), Mark(20.0, 3.0, 0)
    #           before, into it, within, out of it, after
    seen = Seen(due=[8.0, 9.0, 11.0, 19.0, 20.0], done=[9.0, 10.0, 14.0, 22.0, 21.0])
    assert list(found.answered(seen)) == [1.0, 3.0]
    assert list(found.asked(seen)) == [3.0, 3.0]
    assert (found.seconds, found.cpu) == (10.0, 2.0)
