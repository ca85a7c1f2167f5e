"""A watched lane in a time of the test's own: when it is stopped, when given up, when looked at."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import pytest

from support.helpers import PATIENCE, ended, hold, opened
from trtasync import InferenceError, RunTooLong
from trtasync.core.watchdog import STOPPING, Stoppable, WatchedLane
from trtasync.runtimes import Times
from trtasync.testing import ScriptedBackend

LIMIT = 2.0


class Lane:
    """A run that ends when the test says so."""

    device, depth, asynchronous = 0, 1, False

    def __init__(self) -> None:
        self.begun, self.end = threading.Event(), threading.Event()
        self.problem: Exception | None = None

    def launch(self, slot: Any, rows: int) -> None:
        raise AssertionError("nothing is launched here")

    def ready(self, slot: Any) -> bool:
        return False

    def wait(self, slot: Any) -> Times | None:
        self.begun.set()
        assert self.end.wait(PATIENCE)
        if self.problem is not None:
            raise self.problem
        return None

    def close(self) -> None:
        self.end.set()


class StoppableLane(Lane):
    """One that is told to stop, and obeys or not."""

    obeys = False

    def __init__(self) -> None:
        super().__init__()
        self.stops = 0

    def stop(self) -> None:
        self.stops += 1
        if self.obeys:
            self.problem = InferenceError("terminated")
            self.end.set()


@contextmanager
def running(watched: WatchedLane, lane: Lane) -> Iterator[list[Exception | None]]:
    """A run is under way inside the block; afterwards how it ended is in the list."""
    ends: list[Exception | None] = []

    def run() -> None:
        try:
            watched.wait(None)  # type: ignore[arg-type]  # this lane looks at no slot
        except Exception as error:
            ends.append(error)
        else:
            ends.append(None)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert lane.begun.wait(PATIENCE)
        yield ends
    finally:
        lane.end.set()
        thread.join()


def test_a_run_is_stopped_at_its_limit_and_its_lane_lost_if_it_goes_on() -> None:
    lane = StoppableLane()
    watched = WatchedLane(lane, LIMIT)
    with running(watched, lane) as ends:
        begin = watched.since
        assert not watched.is_lost(begin + 0.9 * LIMIT)
        assert lane.stops == 0
        assert not watched.is_lost(begin + LIMIT)
        assert lane.stops == 1
        assert watched.due(begin + LIMIT) == begin + 2 * LIMIT  # others may begin meanwhile
        assert not watched.is_lost(begin + LIMIT + 0.9 * STOPPING)
        assert lane.stops == 1
        assert watched.due(begin + LIMIT + 0.9 * STOPPING) == begin + LIMIT + STOPPING
        assert watched.is_lost(begin + LIMIT + STOPPING)
    assert ends == [None]  # it ended well after all, and too late


def test_a_run_that_obeys_fails_by_its_limit() -> None:
    lane = StoppableLane()
    lane.obeys = True
    watched = WatchedLane(lane, LIMIT)
    with running(watched, lane) as ends:
        assert not watched.is_lost(watched.since + LIMIT)
    (error,) = ends
    assert isinstance(error, RunTooLong)
    assert error.seconds == LIMIT
    assert error.__cause__ is lane.problem
    assert not watched.is_lost(1e9)  # nothing is under way any more


def test_a_failure_of_its_own_stays_what_it_is() -> None:
    lane = StoppableLane()
    lane.problem = InferenceError("a bad row")
    watched = WatchedLane(lane, LIMIT)
    with running(watched, lane) as ends:
        pass
    assert ends == [lane.problem]


def test_a_lane_that_cannot_be_stopped_is_lost_at_its_limit() -> None:
    lane = Lane()
    watched = WatchedLane(lane, LIMIT)
    with running(watched, lane):
        assert not watched.is_lost(watched.since + 0.9 * LIMIT)
        assert watched.is_lost(watched.since + LIMIT)


@pytest.mark.parametrize("kind", [Lane, StoppableLane])
def test_it_can_be_stopped_if_what_it_watches_can(kind: type[Lane]) -> None:
    lane = kind()
    watched = WatchedLane(lane, LIMIT)
    assert isinstance(watched, Stoppable) is isinstance(lane, Stoppable)
    if isinstance(watched, Stoppable):
        watched.stop()
        assert isinstance(lane, StoppableLane)
        assert lane.stops == 1


@pytest.mark.anyio
@pytest.mark.parametrize("run_timeout", [None, 60.0])
async def test_a_run_for_nobody_is_waited_for_where_it_cannot_be_stopped(
    run_timeout: float | None,
) -> None:
    """Otherwise closing gave up its lane after a second, because a time limit was set."""
    backend = ScriptedBackend()
    async with (
        opened(backend, run_timeout=run_timeout) as engine,
        anyio.create_task_group() as tasks,
    ):
        caller = await hold(tasks, engine, backend)
        caller.scope.cancel()
        await ended(caller)
        assert not engine._core.closing.stop_unwanted()
        backend.gate.let()
