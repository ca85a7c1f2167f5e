"""Statistics count every request once, and time what they say."""

import math

import anyio
import anyio.lowlevel
import pytest

from support.helpers import check_at_rest, ended, hold, opened, row, rows, submit, submit_all
from trtasync import InferenceError, InvalidInput, QueueFull, open_engine
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio


async def test_statistics_count_every_request_once() -> None:
    backend = ScriptedBackend(slots_per_lane=2)
    backend.bad = lambda values: bool(values[0] == 3)
    async with opened(backend, max_batch_size=4, max_queue_size=12) as engine:
        async with anyio.create_task_group() as tasks:
            await hold(tasks, engine, backend)
            callers = await submit_all(tasks, engine, [1, 2, 3])
            large = await submit(tasks, engine, rows(range(10, 17)))
            assert engine.statistics().requests == 5
            with pytest.raises(QueueFull):
                await engine.infer(rows(range(3)))
            with pytest.raises(InvalidInput):
                await engine.infer(row(1, 3))
            callers[1].scope.cancel()
            await ended(callers[1])
            during = engine.statistics()
            assert (during.queued, during.in_flight) == (9, 1)
            assert (during.requests, during.cancelled, during.rejected) == (5, 1, 1)
            assert during.streams[0].running == 1
            backend.gate.let()
        assert large.answer.shape == (7, 4)
        assert isinstance(callers[2].error, InferenceError)
        after = check_at_rest(engine)
        assert (after.requests, after.answered, after.failed) == (5, 3, 1)
        assert (after.cancelled, after.rejected, after.expired) == (1, 1, 0)
        assert after.retried >= 1
        assert after.rows == sum(size * times for size, times in after.batch_sizes.items())
        assert after.batches == sum(after.batch_sizes.values())
        assert after.streams[0].batches >= after.batches
        assert during.requests == 5  # a picture does not change
        assert after.latency.total >= after.queue.total
    assert engine.statistics() == after


async def test_an_unused_engine_has_empty_statistics() -> None:
    async with open_engine(ScriptedBackend()) as engine:
        statistics = check_at_rest(engine)
        assert (statistics.requests, statistics.rows, statistics.batches) == (0, 0, 0)
        assert math.isnan(statistics.latency.mean)
        assert math.isnan(statistics.latency.quantile(0.5))


async def test_times_are_those_of_the_run() -> None:
    async with open_engine(ScriptedBackend()) as engine:
        for _ in range(5):
            await engine.infer(row(1))
        statistics = engine.statistics()
        assert statistics.compute.count == statistics.latency.count == statistics.queue.count == 5
        assert 0 < statistics.compute.total < statistics.latency.total
        assert statistics.latency.quantile(0) <= statistics.latency.quantile(1)
        assert statistics.copy_in.count == 0
