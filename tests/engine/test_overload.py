"""A full queue through the engine: the least urgent are turned away, and nobody waits too long."""

import anyio
import pytest

from support.helpers import (
    Caller,
    check_at_rest,
    computed,
    ended,
    hold,
    opened,
    row,
    rows,
    same,
    submit,
    submit_all,
    until,
)
from trtasync import QueueFull
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio


def displaced(caller: Caller) -> bool:
    """It was accepted, and then refused for a more urgent request."""
    return isinstance(caller.error, QueueFull) and caller.error.displaced


async def test_urgent_requests_take_the_places_of_others() -> None:
    backend = ScriptedBackend()
    async with opened(backend, max_batch_size=2, max_queue_size=4) as engine:
        async with anyio.create_task_group() as tasks:
            await hold(tasks, engine, backend)
            plain = [await submit(tasks, engine, row(value)) for value in range(2)]
            batch = [await submit(tasks, engine, row(value), priority=9) for value in (2, 3)]
            urgent = [await submit(tasks, engine, row(value), priority=1) for value in (4, 5, 6)]
            await ended(*batch, plain[1])  # they are told at once, not when the lane is free
            late = await submit(tasks, engine, row(7), priority=9)
            await ended(late)
            seen = engine.statistics()
            assert (seen.rejected, seen.displaced, seen.failed, seen.queued) == (1, 3, 0, 4)
            assert (seen.requests, seen.answered) == (8, 0)
            backend.gate.let()
        assert all(displaced(caller) for caller in (*batch, plain[1]))
        assert isinstance(late.error, QueueFull)
        assert not late.error.displaced
        assert [caller.answer[0] for caller in (plain[0], *urgent)] == [0, 4, 5, 6]
        assert sorted(computed(backend)) == [-1, 0, 4, 5, 6]
        assert check_at_rest(engine).answered == 5


async def test_a_plain_request_takes_the_place_of_a_less_urgent_one_in_parts() -> None:
    backend = ScriptedBackend()
    async with opened(backend, max_batch_size=2, max_queue_size=6) as engine:
        async with anyio.create_task_group() as tasks:
            await hold(tasks, engine, backend)
            large = await submit(tasks, engine, rows(range(5)), priority=6)  # three batches
            other = await submit(tasks, engine, row(5))
            plain = await submit(tasks, engine, rows([6, 7]))
            await ended(large)
            backend.gate.let()
        assert displaced(large)
        assert other.answer[0] == 5
        assert plain.answer[:, 0].tolist() == [6, 7]
        assert sorted(computed(backend)) == [-1, 5, 6, 7]
        check_at_rest(engine)


async def test_a_request_that_takes_a_place_can_be_cancelled_and_be_displaced() -> None:
    backend = ScriptedBackend()
    async with opened(backend, max_batch_size=2, max_queue_size=2) as engine:
        async with anyio.create_task_group() as tasks:
            await hold(tasks, engine, backend)
            first = [await submit(tasks, engine, row(value), priority=9) for value in range(2)]
            second = [await submit(tasks, engine, row(value), priority=4) for value in range(2, 4)]
            second[0].scope.cancel()
            await ended(*first, second[0])
            third = [await submit(tasks, engine, row(value), priority=2) for value in range(4, 6)]
            await ended(second[1])
            backend.gate.let()
        assert displaced(second[1])
        assert [caller.answer[0] for caller in third] == [4, 5]
        seen = check_at_rest(engine)
        assert (seen.cancelled, seen.displaced, seen.rejected) == (1, 3, 0)


async def test_what_would_wait_too_long_is_refused_and_told_how_long() -> None:
    backend = ScriptedBackend()
    async with opened(backend, max_batch_size=2, max_queue_time=1e-9) as engine:
        async with anyio.create_task_group() as tasks:
            await hold(tasks, engine, backend)
            accepted = await submit_all(tasks, engine, range(12))  # nothing is measured yet
            backend.gate.let(3)
            await until(lambda: backend.gate.arrived == 4)
            with pytest.raises(QueueFull, match="exceed max_queue_time=1e-09") as refused:
                await engine.infer(row(12))
            assert (refused.value.limit, refused.value.queued) == (4, 6)  # two batches in any case
            assert refused.value.wait is not None
            assert refused.value.wait > 0
            urgent = await submit(tasks, engine, row(13), priority=1)
            await ended(accepted[-1])
            backend.gate.let()
        assert displaced(accepted[-1])
        assert [caller.answer[0] for caller in (*accepted[:-1], urgent)] == [*range(11), 13]
        assert same(await engine.infer(row(14)), row(14))
        check_at_rest(engine)
