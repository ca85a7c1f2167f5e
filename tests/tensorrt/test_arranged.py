"""Rows along other axes than the first, and inputs that all rows of a batch share."""

import random
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import numpy as np
import pytest

from support.doubles import models
from support.helpers import ended, same, start
from tests.tensorrt.support import double, engine_on, tensor
from tests.tensorrt.voice import AXES, recurrent, request, right, step
from trtasync import Cut, Engine, InvalidInput, Pad, PlanError

pytestmark = pytest.mark.anyio

GRAPHS = pytest.mark.parametrize("graphs", [True, False], ids=["graphs", "no-graphs"])


@GRAPHS
async def test_rows_are_found_along_the_axis_of_each_tensor(tmp_path: Path, graphs: bool) -> None:
    rng = np.random.default_rng(0)
    async with engine_on(tmp_path, recurrent(), batch_axes=AXES, graphs=graphs) as (engine, _):
        assert engine.statistics().requests == 0
        for count in (1, 2, 3, 8, 11):
            asked = request(rng, count, 8000)
            assert right(await engine.infer(asked), asked)
        one = request(rng, 1, 8000)
        row = {"input": one["input"][0], "state": one["state"][:, 0], "sr": one["sr"]}
        answer = await engine.infer(row)
        output, state = step(*one.values())
        assert same(answer["output"], output[0])
        assert same(answer["stateN"], state[:, 0])


@GRAPHS
@pytest.mark.parametrize("streams", [1, 2])
async def test_requests_that_differ_in_what_is_shared_do_not_meet(
    tmp_path: Path, streams: int, graphs: bool
) -> None:
    rng, chance = np.random.default_rng(1), random.Random(1)
    options: dict[str, Any] = {"batch_axes": AXES, "streams": streams, "graphs": graphs}
    async with engine_on(tmp_path, recurrent(), **options) as (engine, _):
        async with anyio.create_task_group() as tasks:
            asked = [
                request(rng, chance.choice([1, 1, 2, 5]), chance.choice([1, 2])) for _ in range(120)
            ]
            callers = [start(tasks, engine, each) for each in asked]
            await ended(*callers)
        for caller, each in zip(callers, asked, strict=True):
            assert caller.error is None
            assert right(caller.answer, each)
        assert engine.statistics().batches < 100


@GRAPHS
async def test_cancelled_requests_leave_no_rows_behind(tmp_path: Path, graphs: bool) -> None:
    rng, chance = np.random.default_rng(2), random.Random(2)
    async with engine_on(tmp_path, recurrent(), batch_axes=AXES, graphs=graphs) as (engine, _):
        async with anyio.create_task_group() as tasks:
            asked, callers = [], []
            for _ in range(150):
                asked.append(request(rng, chance.choice([1, 2, 3]), 16))
                callers.append(start(tasks, engine, asked[-1]))
                if chance.random() < 0.3:
                    await anyio.lowlevel.checkpoint()
                if chance.random() < 0.4:
                    chance.choice(callers).scope.cancel()
            await ended(*callers)
        for caller, each in zip(callers, asked, strict=True):
            assert caller.cancelled or right(caller.answer, each)


async def test_pinned_rows_of_a_moved_tensor_are_put_in_order_too(tmp_path: Path) -> None:
    options: dict[str, Any] = {"batch_axes": {"x": 1, "y": 1}, "batching": True, "inline_bytes": 0}
    async with engine_on(tmp_path, _columns(4096), **options) as (engine, _):
        x = engine.empty_input(rows=2)
        assert x.shape == (4096, 2)
        x[...] = np.arange(8192, dtype=np.float32).reshape(4096, 2)
        for part in (x, x[:, 0]):
            assert same(await engine.infer(part), double(part))
        del x, part  # its memory goes with the last view


def _columns(width: int) -> models.Model:
    """x[width, n] -> y[width, n]."""
    ranges = ((width, 1), (width, 4), (width, 4))
    y = tensor("y", (width, -1), infer=lambda known: known["x"])
    x = tensor("x", (width, -1), ranges)
    return models.Model("columns", [x], [y], models.host_kernel(double))


async def test_answers_on_the_device_need_rows_first(tmp_path: Path) -> None:
    async with engine_on(tmp_path, _columns(4), batch_axes={"x": 1, "y": 1}) as (engine, _):
        x = np.ones((4, 2), np.float32)
        with pytest.raises(InvalidInput, match=r"outputs='device'.*\['y'\]"):
            await engine.infer(x, outputs="device")
        assert same(await engine.infer(x), double(x))


async def test_a_shared_input_keeps_its_place_beside_rows_that_come_first(tmp_path: Path) -> None:
    """Its axis may even be dynamic: requests that differ in its length do not meet either."""
    inputs = [
        tensor("x", (-1, 4), ((1, 4), (4, 4), (4, 4))),
        tensor("table", (-1, 4), ((1, 4), (2, 4), (9, 4))),
    ]
    kernel = models.host_kernel(lambda x, table: x + table.sum(axis=0))
    model = models.Model("shared", inputs, [tensor("y", (-1, 4))], kernel)
    axes = {"x": 0, "table": None, "y": 0}
    async with engine_on(tmp_path, model, batch_axes=axes) as (engine, _):
        await _ask_with_tables(engine)


async def _ask_with_tables(engine: Engine) -> None:
    rng = np.random.default_rng(3)
    tables = [rng.integers(0, 9, (count, 4)).astype(np.float32) for count in (1, 2, 9)]
    async with anyio.create_task_group() as tasks:
        x = [np.full(4, number, np.float32) for number in range(60)]
        callers = [
            start(tasks, engine, {"x": each, "table": tables[number % 3]})
            for number, each in enumerate(x)
        ]
        await ended(*callers)
    for number, caller in enumerate(callers):
        assert same(caller.answer["y"], x[number] + tables[number % 3].sum(axis=0))


async def test_plain_models_have_their_copies_inside_the_graph(tmp_path: Path) -> None:
    """One launch a batch, as ever: what is put in order costs only those that need it."""
    plain = tensor("x", (-1, 4), ((1, 4), (4, 4), (4, 4)))
    for model, axes, launches in (
        (models.Model("p", [plain], [tensor("y", (-1, 4))], models.host_kernel(double)), {}, 0),
        (_columns(4), {"x": 1, "y": 1}, 1),
    ):
        async with engine_on(tmp_path, model, batch_axes=axes, batching=True) as (engine, gpu):
            x = np.ones(4, np.float32)
            before = gpu.world.calls["cudaMemcpyAsync"]
            assert same(await engine.infer(x), double(x))
            assert bool(gpu.world.calls["cudaMemcpyAsync"] - before) is bool(launches)


async def test_an_output_without_such_rows_is_refused_when_batching_is_insisted_on(
    tmp_path: Path,
) -> None:
    options: dict[str, Any] = {"batch_axes": {"x": 1, "y": 0}, "batching": True}
    with pytest.raises(PlanError, match=r"'y' has shape \(4, 1\) for a batch of 1 rows"):
        async with engine_on(tmp_path, _columns(4), **options):
            pass


async def test_padded_lengths_of_a_moved_tensor(tmp_path: Path) -> None:
    """x[length, n, 2]: rows along the middle, padding along the first axis."""
    ranges = ((1, 1, 2), (16, 4, 2), (32, 4, 2))
    y = tensor("y", (-1, -1, 2), infer=lambda known: known["x"])
    model = models.Model(
        "words", [tensor("x", (-1, -1, 2), ranges)], [y], models.host_kernel(double)
    )
    cut = {"y": Cut(axis=0, length=lambda length: length)}
    padding = {"x": Pad(axis=0, sizes=(16, 32), outputs=cut)}
    axes = {"x": 1, "y": 1}
    async with engine_on(tmp_path, model, batch_axes=axes, padding=padding) as (engine, _):
        for length, count in ((3, 1), (16, 4), (20, 3)):
            x = np.random.default_rng(length).standard_normal((length, count, 2), np.float32)
            assert same(await engine.infer(x), double(x))
