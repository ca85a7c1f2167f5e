"""Loads applied to an engine, in a time that the test controls."""

from typing import Any

import anyio.lowlevel
import numpy as np
import pytest

from support.helpers import opened, row, until
from trtasync import DeviceLost
from trtasync.measure.driving import Driver, Seen
from trtasync.measure.loads import Closed
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

ROWS = [row(1), row(2)]


class Hand:
    """A clock that stands still until it is put forward."""

    def __init__(self) -> None:
        self.now = 100.0

    def clock(self) -> float:
        return self.now

    async def until(self, when: float) -> None:
        self.now = max(self.now, when)
        await anyio.lowlevel.checkpoint()


async def test_latency_counts_from_when_a_request_was_due() -> None:
    """A model that stalls stalls everybody who comes meanwhile: no coordinated omission."""
    backend, time = ScriptedBackend(), Hand()
    due = np.arange(0.0, 1.0, 0.1)
    async with opened(backend) as engine:
        backend.gate.shut()

        async def window(seen: Seen) -> None:
            await until(lambda: engine.statistics().requests == len(due))  # nobody was held back
            assert seen.done == []
            time.now = 105.0
            backend.gate.let()
            await until(lambda: len(seen.done) == len(due))

        seen = await Driver(engine.infer, ROWS, time).open(due, window)
    latencies = np.array(seen.done) - np.array(seen.due)
    np.testing.assert_allclose(np.sort(latencies), np.sort(5.0 - due))


async def test_a_load_that_comes_late_counts_the_wait() -> None:
    """The loop was held for a second: who was due meanwhile has waited all the same."""
    backend, time = ScriptedBackend(), Hand()
    async with opened(backend) as engine:

        async def window(seen: Seen) -> None:
            seen.counting = True
            await until(lambda: len(seen.done) == 3)

        driver = Driver(engine.infer, ROWS, time)
        load = driver.open(np.array([-1.0, -0.5, 0.0]), window)
        seen = await load
    assert sorted(np.round(np.array(seen.done) - np.array(seen.due), 6)) == [0.0, 0.5, 1.0]


async def test_callers_of_a_closed_loop_ask_one_at_a_time() -> None:
    backend, time = ScriptedBackend(), Hand()
    async with opened(backend) as engine:
        backend.gate.shut()

        async def window(seen: Seen) -> None:
            await until(lambda: engine.statistics().requests == 3)
            time.now += 2.0
            backend.gate.let()
            await until(lambda: len(seen.done) >= 3)

        seen = await Driver(engine.infer, ROWS, time).closed(Closed(3), window)
    assert [done - due for due, done in zip(seen.due, seen.done, strict=True)][:3] == [2.0] * 3


async def test_callers_of_a_closed_loop_ask_once_at_least() -> None:
    """However short the window is, or however long the machine pauses in it."""

    async def window(seen: Seen) -> None:
        seen.counting = True  # and no other task has run before its end

    backend = ScriptedBackend()
    backend.bad = lambda each: bool(each[0] == 2)
    async with opened(backend, max_batch_size=1) as engine:
        seen = await Driver(engine.infer, ROWS, Hand()).closed(Closed(4), window)
    assert (len(seen.done), seen.failed) == (2, 2)


async def test_what_is_refused_or_fails_is_counted_and_the_load_goes_on() -> None:
    backend, time = ScriptedBackend(), Hand()
    backend.bad = lambda each: bool(each[0] == 2)
    async with opened(backend, max_queue_size=1, max_batch_size=1) as engine:

        async def window(seen: Seen) -> None:
            seen.counting = True
            await until(lambda: seen.refused > 0 and seen.failed > 0 and len(seen.done) > 5)

        await Driver(engine.infer, ROWS, time).closed(Closed(8), window)


async def test_a_caller_gives_up_at_its_deadline() -> None:
    backend, time = ScriptedBackend(), Hand()
    async with opened(backend) as engine:
        backend.gate.shut()

        async def window(seen: Seen) -> None:
            seen.counting = True
            await until(lambda: seen.missed == 2)
            backend.gate.let()

        driver = Driver(engine.infer, ROWS, time, deadline=0.01)
        seen = await driver.open(np.array([-1.0, 0.0]), window)
    assert seen.done == []


async def test_a_lost_device_ends_the_load_with_that_error() -> None:
    backend, time = ScriptedBackend(), Hand()
    backend.lose = True

    async def window(seen: Any) -> None:
        await anyio.sleep_forever()

    async with opened(backend) as engine:
        with pytest.raises(DeviceLost):
            await Driver(engine.infer, ROWS, time).closed(Closed(2), window)
