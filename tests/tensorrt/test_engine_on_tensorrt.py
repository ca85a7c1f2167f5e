"""The engine behaves on TensorRT as it does on the CPU."""

import random
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import numpy as np
import pytest

from support.doubles import models
from support.helpers import Caller, check_at_rest, ended, row, rows, same, start
from tests.tensorrt.support import double, engine_on, lines, masked, release, tensor
from trtasync import Cut, InvalidInput, Pad, RequestTooLarge

pytestmark = pytest.mark.anyio

GRAPHS = pytest.mark.parametrize("graphs", [True, False], ids=["graphs", "no-graphs"])
CUT = {"y": Cut(axis=1, length=lambda length: length)}


def pair() -> models.Model:
    ranges = ((1, 2), (4, 2), (8, 2))
    inputs = [tensor("a", (-1, 2), ranges), tensor("b", (-1, 2), ranges)]
    outputs = [tensor("sum", (-1, 2)), tensor("total", (-1,))]
    kernel = models.host_kernel(lambda a, b: (a + b, a.sum(axis=1)))
    return models.Model("pair", inputs, outputs, kernel)


@GRAPHS
@pytest.mark.parametrize("loop_budget", [0.0, 1.0])
async def test_the_answer_has_the_form_of_the_question(
    tmp_path: Path, loop_budget: float, graphs: bool
) -> None:
    async with engine_on(tmp_path, graphs=graphs, loop_budget=loop_budget) as (engine, _):
        assert same(await engine.infer(row(1)), row(3))
        assert same(await engine.infer(rows([1, 2])), rows([3, 5]))
        assert same((await engine.infer([row(1)]))["y"], row(3))
        assert same((await engine.infer({"x": rows([4])}))["y"], rows([9]))


async def test_two_inputs_and_two_outputs(tmp_path: Path) -> None:
    async with engine_on(tmp_path, pair()) as (engine, _):
        a, b = np.array([1, 2], np.float32), np.array([10, 20], np.float32)
        answer = await engine.infer({"b": b, "a": a})
        assert list(answer) == ["sum", "total"]
        assert same(answer["sum"], a + b)
        assert same(answer["total"], np.float32(3))
        answer = await engine.infer([rows([1, 2, 3], 2), rows([4, 5, 6], 2)])
        assert same(answer["sum"], rows([5, 7, 9], 2))
        assert same(answer["total"], np.array([2, 4, 6], np.float32))


@GRAPHS
async def test_a_request_larger_than_the_largest_batch_is_split(
    tmp_path: Path, graphs: bool
) -> None:
    async with engine_on(tmp_path, graphs=graphs) as (engine, _):
        many = rows(range(30))
        assert same(await engine.infer(many), double(many))
        assert check_at_rest(engine).requests == 1


async def test_requests_share_batches_and_statistics_count_them(tmp_path: Path) -> None:
    async with engine_on(tmp_path, streams=1) as (engine, gpu):
        with gpu.world.held():
            async with anyio.create_task_group() as tasks:
                callers = [start(tasks, engine, row(n)) for n in range(23)]
                while engine.statistics().queued + engine.statistics().in_flight < 23:
                    await anyio.lowlevel.checkpoint()
                release(gpu)
                await ended(*callers)
        assert all(same(c.answer, row(2 * n + 1)) for n, c in enumerate(callers))
        seen = check_at_rest(engine)
        assert (seen.answered, seen.failed, seen.rows) == (23, 0, 23)
        assert seen.batches <= 5
        assert sum(size * count for size, count in seen.batch_sizes.items()) == 23


async def test_the_times_of_large_rows_have_three_stages(tmp_path: Path) -> None:
    model = models.elementwise(double, width=6 * 1024, name="wide")
    async with engine_on(tmp_path, model) as (engine, _):
        await engine.infer(row(1, 6 * 1024))
        seen = engine.statistics()
    assert min(seen.copy_in.count, seen.compute.count, seen.copy_out.count) == 1
    assert min(seen.copy_in.total, seen.compute.total, seen.copy_out.total) > 0


@pytest.mark.parametrize("length", [1, 7, 16, 17, 64])
async def test_padding_is_cut_off_again(tmp_path: Path, length: int) -> None:
    padding = {"x": Pad(axis=1, sizes=(16, 64), outputs=CUT)}
    async with engine_on(tmp_path, lines(), padding=padding) as (engine, _):
        sample = np.arange(length, dtype=np.float32)
        assert same(await engine.infer(sample), double(sample))
        assert same(await engine.infer(np.stack([sample] * 6)), double(np.stack([sample] * 6)))


async def test_different_lengths_share_a_batch_and_never_see_each_other(tmp_path: Path) -> None:
    padding = {"x": Pad(axis=1, sizes=(8, 32), value=-7, outputs=CUT)}
    async with engine_on(tmp_path, lines(), padding=padding) as (engine, _):
        async with anyio.create_task_group() as tasks:
            asked = [np.full(1 + n % 32, n, np.float32) for n in range(64)]
            callers = [start(tasks, engine, array) for array in asked]
            await ended(*callers)
        for array, caller in zip(asked, callers, strict=True):
            assert same(caller.answer, double(array))
        assert engine.statistics().batches < 64
        with pytest.raises(InvalidInput, match="longer than the largest padding size, 32"):
            await engine.infer(np.zeros(33, np.float32))


async def test_the_sizes_of_padding_are_kept_warm(tmp_path: Path) -> None:
    padding = {"x": Pad(axis=1, sizes=(8, 32, 64), outputs=CUT)}
    async with engine_on(tmp_path, lines(), padding=padding) as (engine, gpu):
        before = gpu.context_calls["set_input_shape"]
        for length in (3, 20, 50, 64, 32, 8):
            await engine.infer(np.zeros(length, np.float32))
        assert gpu.context_calls["set_input_shape"] == before


async def test_inputs_padded_to_the_same_sizes_are_kept_warm_together(tmp_path: Path) -> None:
    padding = {name: Pad(axis=-1, sizes=(8, 16, 32, 64)) for name in ("ids", "mask")}
    async with engine_on(tmp_path, masked(), padding=padding, streams=1) as (engine, gpu):
        before = gpu.context_calls["set_input_shape"]
        for length in (3, 16, 30, 64):
            ids = np.arange(length)
            answer = await engine.infer({"ids": ids, "mask": np.ones_like(ids)})
            assert same(answer["y"], np.array([ids.sum()]))
        assert gpu.context_calls["set_input_shape"] == before


@pytest.mark.parametrize("streams", [1, 3])
async def test_every_stream_works(tmp_path: Path, streams: int) -> None:
    async with engine_on(tmp_path, streams=streams, max_batch_size=2) as (engine, gpu):
        with gpu.world.held():
            async with anyio.create_task_group() as tasks:
                callers = [start(tasks, engine, row(n)) for n in range(8 * streams)]
                while sum(stream.running for stream in engine.statistics().streams) < 2 * streams:
                    await anyio.lowlevel.checkpoint()
                release(gpu)
                await ended(*callers)
        assert all(same(c.answer, row(2 * n + 1)) for n, c in enumerate(callers))
        assert all(stream.batches for stream in check_at_rest(engine).streams)


async def test_two_devices_share_the_work(tmp_path: Path) -> None:
    async with engine_on(tmp_path, gpus=2, devices=[0, 1], streams=1, max_batch_size=2) as (
        engine,
        gpu,
    ):
        assert {stream.device for stream in gpu.world.streams.values()} == {0, 1}
        async with anyio.create_task_group() as tasks:
            callers = [start(tasks, engine, row(n)) for n in range(100)]
            await ended(*callers)
        assert all(same(c.answer, row(2 * n + 1)) for n, c in enumerate(callers))
        assert all(stream.batches for stream in check_at_rest(engine).streams)


async def test_the_second_device_alone(tmp_path: Path) -> None:
    async with engine_on(tmp_path, gpus=2, devices=[1]) as (engine, gpu):
        assert {block.device for block in gpu.world.allocations.values()} == {1}
        assert same(await engine.infer(row(4)), row(9))


async def test_a_request_larger_than_the_queue_is_refused(tmp_path: Path) -> None:
    async with engine_on(tmp_path, max_queue_size=4) as (engine, _):
        with pytest.raises(RequestTooLarge):
            await engine.infer(rows(range(5)))
        assert same(await engine.infer(row(1)), row(3))


async def test_a_fixed_batch_is_padded_up(tmp_path: Path) -> None:
    model = models.Model(
        "fixed", [tensor("x", (4, 4))], [tensor("y", (4, 4))], models.host_kernel(double)
    )
    async with engine_on(tmp_path, model) as (engine, _):
        assert same(await engine.infer(rows([1, 2, 3])), rows([3, 5, 7]))
        assert same(await engine.infer(rows(range(9))), double(rows(range(9))))
        assert set(engine.statistics().batch_sizes) <= {1, 3, 4}


async def test_a_model_without_batch_axis_runs_every_request_alone(tmp_path: Path) -> None:
    model = models.Model(
        "alone",
        [tensor("x", (2, 4))],
        [tensor("y", (4,))],
        models.host_kernel(lambda x: x.sum(axis=0)),
    )
    async with engine_on(tmp_path, model) as (engine, _):
        async with anyio.create_task_group() as tasks:
            callers = [start(tasks, engine, rows([n, 1])) for n in range(20)]
            await ended(*callers)
        assert all(same(c.answer, row(n + 1)) for n, c in enumerate(callers))
        assert engine.statistics().batch_sizes == {1: 20}


@GRAPHS
@pytest.mark.parametrize("options", [{}, {"inline_bytes": 0, "copy_threads": 2}])
@pytest.mark.parametrize("seed", [1, 2])
async def test_mixed_requests_with_random_cancellation(
    tmp_path: Path, seed: int, options: dict[str, Any], graphs: bool
) -> None:
    chance = random.Random(seed)
    async with engine_on(tmp_path, streams=2, graphs=graphs, **options) as (engine, _):
        asked, callers = [], list[Caller]()
        async with anyio.create_task_group() as tasks:
            for number in range(300):
                count = chance.choice([1, 1, 1, 2, 3, 8, 11])
                array = rows(range(number, number + count)) if count > 1 else row(number)
                asked.append(array)
                callers.append(start(tasks, engine, array))
                if chance.random() < 0.3:
                    await anyio.lowlevel.checkpoint()
                if chance.random() < 0.3:
                    chance.choice(callers).scope.cancel()
            await ended(*callers)
        for array, caller in zip(asked, callers, strict=True):
            assert caller.error is None
            assert caller.cancelled or same(caller.answer, double(array))
        check_at_rest(engine)
