"""What a shared engine answers is what an engine of this process answers."""

import asyncio
from collections.abc import Callable
from typing import Any

import anyio
import numpy as np
import pytest

from support.helpers import at_once, opened, row, rows, same, tensor
from tests.engine.models import two_outputs
from tests.shared.joined import joined, stretched, stretching
from trtasync import InvalidInput, TrtasyncError
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio


def pair() -> ScriptedBackend:
    """Two inputs, two outputs."""
    return ScriptedBackend(
        two_outputs,
        inputs=[tensor("a", "N", 2), tensor("b", "N", 2)],
        outputs=[tensor("sum", "N", 2), tensor("total", "N")],
    )


one, two = np.arange(4, dtype=np.float32), rows([1, 2, 3])
a, b = np.arange(6, dtype=np.float32).reshape(3, 2), np.ones((3, 2), np.float32)

REQUESTS: dict[str, tuple[Callable[[], ScriptedBackend], Any]] = {
    "a row": (ScriptedBackend, one),
    "rows": (ScriptedBackend, two),
    "no rows": (ScriptedBackend, two[:0]),
    "a list": (ScriptedBackend, [one]),
    "a mapping": (ScriptedBackend, {"x": two}),
    "every second number": (ScriptedBackend, np.arange(8, dtype=np.float32)[::2]),
    "every second row": (ScriptedBackend, rows(range(6))[::2]),
    "upside down": (ScriptedBackend, two[::-1]),
    "not aligned": (ScriptedBackend, np.frombuffer(b"." + one.tobytes(), np.float32, offset=1)),
    "read only": (ScriptedBackend, np.frombuffer(one.tobytes(), np.float32)),
    "numbers": (ScriptedBackend, [[1.0, 2.0, 3.0, 4.0]]),
    "another type": (ScriptedBackend, one.astype(np.float64)),
    "too long": (ScriptedBackend, np.zeros(5, np.float32)),
    "too many axes": (ScriptedBackend, np.zeros((1, 1, 4), np.float32)),
    "another name": (ScriptedBackend, {"z": one}),
    "several inputs": (pair, (a, b)),
    "several inputs of one row": (pair, {"b": b[0], "a": a[0]}),
    "one input of several": (pair, a),
    "rows and a row": (pair, (a, b[0])),
    "a long answer": (stretching, two),
}


async def outcome(engine: Any, request: Any) -> Any:
    """The answer, or the error."""
    try:
        return await engine.infer(request)
    except TrtasyncError as error:
        return error


def fields(error: TrtasyncError) -> dict[str, Any]:
    """What it carries; plain data has one kind of lists."""
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in vars(error).items()
    }


@pytest.mark.parametrize("name", REQUESTS)
async def test_every_request_ends_as_it_does_in_this_process(name: str) -> None:
    backend, request = REQUESTS[name]
    async with opened(backend()) as own, joined(backend()) as shared:
        expected = await outcome(own, request)
        for _ in range(3):  # the first one of a form is told of before
            found = await outcome(shared.engine, request)
            assert type(found) is type(expected)
            if isinstance(expected, TrtasyncError):
                assert (str(found), fields(found)) == (str(expected), fields(expected))
            elif isinstance(expected, dict):
                assert list(found) == list(expected)
                assert all(same(found[name], expected[name]) for name in expected)
            else:
                assert same(found, expected)
        assert shared.in_use == 0


async def test_it_tells_of_its_model_as_an_engine_does() -> None:
    async with opened(pair()) as own, joined(pair()) as shared:
        engine = shared.engine
        assert (engine.inputs, engine.outputs) == (own.inputs, own.outputs)
        assert engine.batching == own.batching


async def test_requests_of_all_callers_share_batches_and_each_has_its_own_answer() -> None:
    async with joined(max_batch_size=8) as shared:
        asked = [row(value) for value in range(300)]
        answers = await at_once(shared.engine, asked)
        assert all(map(same, answers, asked))
        assert max(map(len, shared.backend.computed)) == 8
        assert shared.in_use == 0


async def test_memory_grows_with_what_is_under_way_and_not_with_what_was() -> None:
    async with joined(max_queue_size=2000) as shared:
        asked = [row(value) for value in range(1000)]
        await at_once(shared.engine, asked)
        grown = shared.bytes
        assert 1000 * 128 <= grown <= 2048 * 128
        for _ in range(3):
            assert all(map(same, await at_once(shared.engine, asked), asked))
        assert shared.bytes == grown


async def test_a_long_answer_finds_room_at_once_the_second_time() -> None:
    async with joined(stretching()) as shared:
        await shared.engine.infer(one)
        before = shared.bytes
        for value in range(1, 9):
            asked = row(value)
            assert same(await shared.engine.infer(asked), stretched(asked[None])[0])
        assert shared.in_use == 0
        assert shared.bytes == before


async def test_an_answer_is_the_callers_own() -> None:
    async with joined() as shared:
        first = await shared.engine.infer(row(1))
        await at_once(shared.engine, [row(2)] * 100)
        assert same(first, row(1))
        first[...] = 7


async def test_a_lent_answer_stays_until_it_is_given_back() -> None:
    async with joined() as shared:
        await shared.engine.infer(row(0))
        with await shared.engine.infer(row(1), copy=False) as lent:
            assert lent.base is not None
            await at_once(shared.engine, [row(2)] * 100)
            assert same(lent, row(1))
            assert shared.in_use == 1
        assert shared.in_use == 0


async def test_lent_answers_may_be_long_too() -> None:
    async with joined(stretching()) as shared:
        for _ in range(2):
            with await shared.engine.infer(one, copy=False) as lent:
                assert same(lent, stretched(one[None])[0])
        assert shared.in_use == 0


async def test_arrays_on_a_device_stay_in_their_process() -> None:
    async with joined() as shared:
        with pytest.raises(InvalidInput, match="only its own process"):
            await shared.engine.infer(row(1), outputs="device")


async def test_its_statistics_are_those_of_the_host() -> None:
    async with joined() as shared:
        await at_once(shared.engine, [row(1)] * 10)
        statistics = await anyio.to_thread.run_sync(shared.engine.statistics)
        assert (statistics.requests, statistics.answered) == (10, 10)
        await shared.engine.aclose()
        assert shared.engine.statistics().answered == 10


def test_who_is_cancelled_when_a_lent_answer_comes_gives_it_back() -> None:
    """AnyIO's scopes spare a task that is about to wake up; `asyncio.Task.cancel` does not."""

    class Unlucky(asyncio.Future[Any]):
        def set_result(self, result: Any) -> None:
            super().set_result(result)
            tasks[0].cancel()

    async def main() -> None:
        async with joined() as shared:
            await shared.engine.infer(row(0))
            shared.engine._link.session.future = Unlucky
            tasks.append(asyncio.ensure_future(shared.engine.infer(row(1), copy=False)))
            with pytest.raises(asyncio.CancelledError):
                await tasks[0]
            assert shared.in_use == 0

    tasks: list[asyncio.Future[Any]] = []
    asyncio.run(main())
