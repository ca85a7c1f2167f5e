"""What a callback hears of a build, and what it can do to it."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from support.doubles import Installed
from tests.genuine.machines import Machine
from tests.plans.support import GATHER, Counts, contents, counts, looks_up
from trtasync import BuildProgress, build_plan

pytestmark = pytest.mark.anyio


async def news_of_a_build() -> list[BuildProgress]:
    """Everything a callback hears."""
    news: list[BuildProgress] = []
    await build_plan(GATHER, max_batch_size=4, progress=news.append)
    return news


async def test_phases_are_nested_in_their_parents(machine: Machine) -> None:
    news = await news_of_a_build()
    running: list[str] = []
    tops: set[str] = set()
    for each in news:
        if each.phase not in running:
            assert each.step == 0
            assert each.parent is None or each.parent in running
            tops |= {each.phase} if each.parent is None else set()
            running.append(each.phase)
        if each.finished:
            running.remove(each.phase)
    assert not running
    assert len(tops) == 1
    assert len({each.phase for each in news}) > 3


async def test_every_phase_counts_its_steps_to_the_end(gpu: Installed) -> None:
    gpu.builds.steps = 5
    news = await news_of_a_build()
    for phase in {each.phase for each in news}:
        steps = [each.step for each in news if each.phase == phase and not each.finished]
        total = {each.steps for each in news if each.phase == phase}
        assert steps == list(range(max(total) + 1))
        assert len(total) == 1


async def test_the_end_of_a_phase_is_its_last_news(gpu: Installed) -> None:
    last = {each.phase: each for each in await news_of_a_build()}
    assert all(each.finished and each.step == each.steps for each in last.values())


async def test_the_callback_is_called_by_one_thread_at_a_time(gpu: Installed) -> None:
    inside, overlaps, threads = threading.Lock(), list[str](), set[int]()

    def look(news: BuildProgress) -> None:
        threads.add(threading.get_ident())
        if not inside.acquire(blocking=False):
            overlaps.append(news.phase)
            return
        inside.release()

    await build_plan(GATHER, max_batch_size=4, progress=look)
    assert not overlaps
    assert len(threads) > 1


def _at_the_start(news: BuildProgress) -> bool:
    return True


def _in_a_nested_phase(news: BuildProgress) -> bool:
    return news.parent is not None and news.step == 1


def _at_the_very_end(news: BuildProgress) -> bool:
    return news.finished and news.parent is None


class Enough(Exception):
    """What a callback raises."""


MOMENTS = pytest.mark.parametrize("moment", [_at_the_start, _in_a_nested_phase, _at_the_very_end])


@MOMENTS
@pytest.mark.parametrize("output", [None, "out.plan"])
async def test_what_the_callback_raises_stops_the_build_and_comes_out(
    gpu: Installed, tmp_path: Path, moment: Callable[[BuildProgress], bool], output: str | None
) -> None:
    def look(news: BuildProgress) -> None:
        if moment(news):
            raise Enough(news.phase)

    target = tmp_path / output if output else None
    with pytest.raises(Enough):
        await build_plan(GATHER, output=target, cache=tmp_path / "cache", progress=look)
    assert contents(tmp_path) == {}
    assert gpu.violations == []


async def test_a_callback_that_raised_is_not_called_again(machine: Machine) -> None:
    calls: list[BuildProgress] = []

    def look(news: BuildProgress) -> None:
        calls.append(news)
        raise Enough

    with pytest.raises(Enough):
        await build_plan(GATHER, progress=look)
    assert len(calls) == 1
    assert counts(machine) == Counts(1, 0, 1)


async def test_what_stands_for_the_end_of_a_process_is_no_exception_to_that(
    gpu: Installed,
) -> None:
    def look(news: BuildProgress) -> None:
        raise KeyboardInterrupt

    raised = ""
    try:
        await build_plan(GATHER, progress=look)
    except KeyboardInterrupt:
        raised = "KeyboardInterrupt"
    assert raised
    assert gpu.violations == []


async def test_the_next_build_is_not_touched_by_one_that_was_stopped(
    gpu: Installed, own_cache: Path
) -> None:
    def look(news: BuildProgress) -> None:
        raise Enough

    with pytest.raises(Enough):
        await build_plan(GATHER, max_batch_size=4, progress=look)
    assert await looks_up(GATHER)
    assert gpu.builds.finished == 1


async def test_a_plan_from_the_cache_has_no_progress(machine: Machine) -> None:
    await build_plan(GATHER)
    news: list[BuildProgress] = []
    assert (await build_plan(GATHER, progress=news.append)).cached
    assert news == []
