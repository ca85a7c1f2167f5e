"""Requests larger than a batch are split and rejoined."""

import anyio
import anyio.lowlevel
import numpy as np
import pytest

from support.helpers import check_at_rest, computed, ended, hold, opened, rows, same, submit, tensor
from tests.engine.models import pair
from trtasync import Pad, open_engine
from trtasync.testing import FunctionBackend, ScriptedBackend

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("count", [1, 3, 4, 5, 8, 9, 30])
@pytest.mark.parametrize("streams", [1, 2])
async def test_a_request_larger_than_a_batch_is_split_and_rejoined(
    count: int, streams: int
) -> None:
    backend = ScriptedBackend(lambda x: x + np.float32(1))
    async with open_engine(backend, max_batch_size=4, streams=streams) as engine:
        assert same(await engine.infer(rows(range(count))), rows(range(1, count + 1)))
        statistics = check_at_rest(engine)
        assert (statistics.requests, statistics.answered, statistics.rows) == (1, 1, count)
        assert max(statistics.batch_sizes) <= 4


async def test_split_requests_share_batches_and_do_not_mix() -> None:
    backend = ScriptedBackend(lambda x: -x)
    async with (
        opened(backend, max_batch_size=4) as engine,
        anyio.create_task_group() as tasks,
    ):
        await hold(tasks, engine, backend)
        numbers = [range(10, 16), range(20, 21), range(30, 37), range(40, 43)]
        callers = [await submit(tasks, engine, rows(list(each))) for each in numbers]
        backend.gate.let()
        await ended(*callers)
        for caller, each in zip(callers, numbers, strict=True):
            assert same(caller.answer, -rows(list(each)))
    assert sorted(computed(backend)) == [-1.0, *(float(n) for each in numbers for n in each)]
    assert len(backend.computed) <= 1 + 5  # 17 rows in batches of up to 4


async def test_split_requests_of_several_inputs() -> None:
    async with open_engine(pair(), max_batch_size=2) as engine:
        a = np.arange(10, dtype=np.float32).reshape(5, 2)
        answer = await engine.infer({"a": a, "b": a})
        assert same(answer["sum"], a + a)
        assert same(answer["total"], a.sum(axis=1))


async def test_padded_rows_of_split_requests_are_cut_back() -> None:
    backend = FunctionBackend(
        lambda x: x, inputs=[tensor("x", "N", "W")], outputs=[tensor("y", "N", "W")]
    )
    padding = {"x": Pad(axis=1, multiple_of=8, value=-1)}
    async with open_engine(backend, max_batch_size=2, padding=padding) as engine:
        x = np.arange(25, dtype=np.float32).reshape(5, 5)
        assert same(await engine.infer(x), x)
        assert same(await engine.infer(x[0]), x[0])
