"""What a lane does per batch: few calls, no allocation, right bytes; and unusual models."""

from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

from support.doubles import Installed, models
from support.helpers import Array, ended, row, rows, same, start, submit, until
from tests.tensorrt.support import double, engine_on, lines, release, tensor
from trtasync import Cut, Engine, InvalidInput, Pad

pytestmark = pytest.mark.anyio

WIDE = 6 * 1024
"""Floats of a row of 48 KiB, in and out: too many to be copied inside a graph."""
SETTERS = ("set_input_shape", "set_tensor_address", "infer_shapes", "set_device_memory")
ALLOCATIONS = (
    "cudaMalloc",
    "cudaHostAlloc",
    "cudaEventCreateWithFlags",
    "cudaFree",
    "cudaFreeHost",
)


async def ask_all(engine: Engine, values: list[Array]) -> None:
    """Ask together, and hold every answer against `double`."""
    async with anyio.create_task_group() as tasks:
        callers = [start(tasks, engine, value) for value in values]
        await ended(*callers)
    for value, caller in zip(values, callers, strict=True):
        assert same(caller.answer, double(value))


async def warm_up(engine: Engine, width: int = 4) -> None:
    """Past the first batches of every slot, which are all measured."""
    for n in range(200):
        await engine.infer(row(n, width))


# -- the hot path ---------------------------------------------------------------------------------


@pytest.mark.parametrize("graphs", [True, False])
async def test_a_warm_batch_sets_nothing_in_its_context(tmp_path: Path, graphs: bool) -> None:
    async with engine_on(tmp_path, graphs=graphs) as (engine, gpu):
        before = dict(gpu.context_calls)
        for n in range(60):
            await ask_all(engine, [row(n)] * (1 + n % 8) + [rows([n, n])])
        for name in SETTERS:
            assert gpu.context_calls[name] == before[name]
        assert (gpu.context_calls["execute_async_v3"] == before["execute_async_v3"]) is graphs


async def test_an_unmeasured_batch_is_one_graph_launch_and_one_event(tmp_path: Path) -> None:
    async with engine_on(tmp_path, streams=1) as (engine, gpu):
        await warm_up(engine)
        seen = []
        for n in range(64):
            before = gpu.world.calls.copy()
            assert same(await engine.infer(row(n)), row(2 * n + 1))
            calls = gpu.world.calls - before
            seen.append((calls["cudaGraphLaunch"], calls["cudaEventRecord"]))
            assert set(calls) <= {
                "cudaGraphLaunch",
                "cudaEventRecord",
                "cudaEventQuery",
                "cudaEventSynchronize",
                "cudaEventElapsedTime",
            }
        assert seen.count((1, 1)) == 60
        assert seen.count((1, 2)) == 4  # every 16th is measured


@pytest.mark.parametrize("width", [4, WIDE])
@pytest.mark.parametrize("graphs", [True, False])
async def test_two_hundred_batches_allocate_nothing(
    tmp_path: Path, graphs: bool, width: int
) -> None:
    model = models.elementwise(double, width=width, name="any")
    async with engine_on(tmp_path, model, graphs=graphs) as (engine, gpu):
        before = gpu.world.calls.copy()
        for n in range(200):
            assert same(await engine.infer(row(n, width)), row(2 * n + 1, width))
        calls = gpu.world.calls - before
        assert [calls[name] for name in ALLOCATIONS] == [0] * len(ALLOCATIONS)
        assert engine.statistics().batches == 200


async def test_large_rows_are_copied_outside_the_graph_at_their_true_size(tmp_path: Path) -> None:
    copied: list[int] = []
    model = models.elementwise(double, width=WIDE, name="wide")
    async with engine_on(tmp_path, model, streams=1, batch_sizes=[8]) as (engine, gpu):
        copy = gpu.world.copy

        def note(target: int, source: int, size: int) -> None:
            copied.append(size)
            copy(target, source, size)

        gpu.world.copy = note  # type: ignore[method-assign]
        before = gpu.world.calls.copy()
        values = np.arange(3 * WIDE, dtype=np.float32).reshape(3, -1)
        assert same(await engine.infer(values), double(values))
        calls = gpu.world.calls - before
    assert (calls["cudaGraphLaunch"], calls["cudaMemcpyAsync"]) == (1, 2)
    assert copied == [3 * WIDE * 4] * 2


async def test_a_model_that_cannot_be_captured_is_enqueued_plainly(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = models.elementwise(double, capturable=False)
    async with engine_on(tmp_path, model, streams=1, batch_sizes=[8]) as (engine, gpu):
        for n in range(30):
            assert same(await engine.infer(row(n)), row(2 * n + 1))
        assert gpu.world.calls["cudaGraphLaunch"] == 0
    warnings = [entry for entry in caplog.records if entry.levelname == "WARNING"]
    assert len(warnings) == 1
    assert "no CUDA graph for a batch of 8 rows" in warnings[0].message
    assert "stream is capturing" in warnings[0].message


async def test_a_refusal_in_the_middle_of_a_capture_leaves_no_stale_graph(tmp_path: Path) -> None:
    kernel = models.host_kernel(double)

    def run(context: Any, stream: int) -> bool:
        from support.doubles import world

        recording = world.current().streams[stream].recording
        if recording is not None and context._shapes["x"][0] == 4:
            return False
        return kernel(context, stream)

    model = models.elementwise(double, kernel=run)
    async with engine_on(tmp_path, model, streams=1) as (engine, gpu):
        for n in range(20):
            values = rows([n, n + 1, n + 2, n + 3])
            assert same(await engine.infer(values), double(values))
            assert same(await engine.infer(row(n)), row(2 * n + 1))
        assert gpu.world.calls["cudaGraphLaunch"] == 20


# -- shapes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("graphs", [True, False])
async def test_shapes_that_are_not_warm_run_too(tmp_path: Path, graphs: bool) -> None:
    async with engine_on(tmp_path, lines(), graphs=graphs) as (engine, _):
        for n in range(40):
            values = [np.full(length, n, np.float32) for length in (1, 16, 3 + n % 60, 64, 16)]
            await ask_all(engine, values)


async def test_a_shape_that_comes_again_is_not_set_again(tmp_path: Path) -> None:
    async with engine_on(tmp_path, lines(), streams=1) as (engine, gpu):
        await engine.infer(row(1, 5))
        before = gpu.context_calls["set_input_shape"]
        for n in range(20):
            assert same(await engine.infer(row(n, 5)), row(2 * n + 1, 5))
            assert same(await engine.infer(row(n, 16)), row(2 * n + 1, 16))
        assert gpu.context_calls["set_input_shape"] == before


async def test_outputs_that_grow_as_the_input_shrinks_have_room(tmp_path: Path) -> None:
    x = tensor("x", (-1, -1), ((1, 1), (4, 1), (4, 32)))
    y = tensor("y", (-1, -1), infer=lambda shapes: (shapes["x"][0], 33 - shapes["x"][1]))

    def rest(x: Array) -> Array:
        return np.repeat(x[:, :1], 33 - x.shape[1], axis=1)

    model = models.Model("rest", [x], [y], models.host_kernel(rest))
    async with engine_on(tmp_path, model, streams=1, graphs=False) as (engine, _):
        for n in range(10):
            assert same(await engine.infer(rows([n] * 4, 1)), rows([n] * 4, 32))
            assert same(await engine.infer(rows([n] * 4, 32)), rows([n] * 4, 1))


@pytest.mark.parametrize("graphs", [True, False])
async def test_tensors_of_no_elements(tmp_path: Path, graphs: bool) -> None:
    inputs = [
        tensor("x", (-1, 4), ((1, 4), (4, 4), (4, 4))),
        tensor("extra", (-1, -1), ((1, 0), (4, 0), (4, 8))),
    ]
    outputs = [tensor("y", (-1, 4)), tensor("rest", (-1, -1), infer=lambda s: s["extra"])]
    kernel = models.host_kernel(lambda x, extra: (double(x), extra + np.float32(1)))
    model = models.Model("extra", inputs, outputs, kernel)
    async with engine_on(tmp_path, model, graphs=graphs) as (engine, _):
        for length in (0, 3, 0, 8):
            answer = await engine.infer([row(1), np.zeros(length, np.float32)])
            assert same(answer["y"], row(3))
            assert same(answer["rest"], np.ones(length, np.float32))


async def test_the_largest_rows_of_a_slot_do_not_leak_into_smaller_ones(tmp_path: Path) -> None:
    padding = {"x": Pad(1, sizes=(16, 64), outputs={"y": Cut(1, lambda n: n)}, value=5)}
    model = lines(lambda x: x + x.sum(axis=1, keepdims=True))
    async with engine_on(tmp_path, model, streams=1, padding=padding) as (engine, _):
        await engine.infer(np.full((4, 64), 1e6, np.float32))
        answer = await engine.infer(row(1, 10))
        assert same(answer, row(1 + 10 + 6 * 5, 10))


# -- shape tensors --------------------------------------------------------------------------------


def resize() -> models.Model:
    """x[n, 4] and the number of columns -> y[n, columns]."""
    x = tensor("x", (-1, 4), ((1, 4), (4, 4), (4, 4)))
    size = tensor("columns", (1,), ((1,), (4,), (9,)), dtype=np.int64, host=True)
    y = tensor("y", (-1, -1), infer=lambda s: (s["x"][0], s["columns"][0]))

    def run(x: Array, columns: Array) -> Array:
        return np.repeat(x[:, :1], int(columns[0]), axis=1)

    return models.Model("resize", [x, size], [y], models.host_kernel(run))


async def test_only_requests_with_equal_shape_values_share_a_batch(tmp_path: Path) -> None:
    async with engine_on(tmp_path, resize(), streams=1) as (engine, gpu):
        assert engine.inputs[1].host
        with gpu.world.held():
            async with anyio.create_task_group() as tasks:
                asked = [(n, 1 + n % 3) for n in range(24)]
                callers = [
                    await submit(tasks, engine, {"x": row(n), "columns": np.array([columns])})
                    for n, columns in asked
                ]
                release(gpu)
                await ended(*callers)
        for (n, columns), caller in zip(asked, callers, strict=True):
            assert same(caller.answer["y"], row(n, columns))
        assert 6 <= engine.statistics().batches < 24


async def test_two_batches_of_different_values_in_flight_on_one_stream(tmp_path: Path) -> None:
    async with engine_on(tmp_path, resize(), streams=1, max_batch_size=2) as (engine, gpu):
        with gpu.world.held():
            async with anyio.create_task_group() as tasks:
                callers = [
                    await submit(tasks, engine, [rows([n, n]), np.array([n])]) for n in (3, 8)
                ]
                await until(lambda: engine.statistics().in_flight == 4)
                release(gpu)
                await ended(*callers)
        for n, caller in zip((3, 8), callers, strict=True):
            assert same(caller.answer["y"], rows([n, n], n))


@pytest.mark.parametrize("columns", [0, 10, -1])
async def test_values_outside_the_profile_are_refused(tmp_path: Path, columns: int) -> None:
    async with engine_on(tmp_path, resize()) as (engine, _):
        with pytest.raises(InvalidInput, match=r"columns.*the values.*\(1,\) to \(9,\)"):
            await engine.infer([row(1), np.array([columns])])
        assert same((await engine.infer([row(1), np.array([9])]))["y"], row(1, 9))


async def test_a_shape_tensor_of_another_shape_is_refused(tmp_path: Path) -> None:
    async with engine_on(tmp_path, resize()) as (engine, _):
        with pytest.raises(InvalidInput, match="no batch axis"):
            await engine.infer([row(1), np.array([[2]])])


# -- outputs whose size depends on data -----------------------------------------------------------


def nonzero(**more: Any) -> models.Model:
    """x[1, n] -> the values that are not zero, and x doubled."""
    x = tensor("x", (1, -1), ((1, 1), (1, 8), (1, 64)))
    outputs = [
        tensor("found", (-1,), data_dependent=True),
        tensor("y", (2, -1), infer=lambda s: (2, s["x"][1])),
    ]
    kernel = models.host_kernel(lambda x: (x[x != 0], np.concatenate([x, x])))
    return models.Model("nonzero", [x], outputs, kernel, **more)


@pytest.mark.parametrize("largest", [{}, {"found": 256}], ids=["unknown", "known-bound"])
@pytest.mark.parametrize("streams", [1, 2])
async def test_outputs_whose_size_depends_on_data(
    tmp_path: Path, streams: int, largest: dict[str, int]
) -> None:
    async with engine_on(tmp_path, nonzero(largest=largest), streams=streams) as (engine, gpu):
        async with anyio.create_task_group() as tasks:
            asked = [np.arange(n, dtype=np.float32)[None] for n in (2, 64, 1, 30, 8, 9, 33, 64)]
            callers = [start(tasks, engine, x) for x in asked]
            await ended(*callers)
        for x, caller in zip(asked, callers, strict=True):
            assert same(caller.answer["found"], x[x != 0])
            assert same(caller.answer["y"], np.concatenate([x, x]))
        contexts = gpu.context_calls["set_optimization_profile_async"]
        assert gpu.context_calls["set_output_allocator"] == contexts


async def test_an_output_with_a_known_bound_never_grows(tmp_path: Path) -> None:
    model = nonzero(largest={"found": 256})
    async with engine_on(tmp_path, model) as (engine, gpu):
        before = gpu.world.calls["cudaMalloc"]
        for n in (1, 64, 5, 64):
            x = np.ones((1, n), np.float32)
            assert same((await engine.infer(x))["found"], x[0])
        assert gpu.world.calls["cudaMalloc"] == before


async def test_a_growing_output_keeps_what_the_batch_before_gave(tmp_path: Path) -> None:
    async with engine_on(tmp_path, nonzero(), streams=1) as (engine, gpu):
        lengths = (1, 2, 4, 8, 16, 32, 64)
        kept = [await engine.infer(np.full((1, n), n, np.float32)) for n in lengths]
        for n, answer in zip(lengths, kept, strict=True):
            assert same(answer["found"], row(n, n))
        assert gpu.world.calls["cudaMalloc"] < 12  # each time twice as large


async def test_an_empty_output(tmp_path: Path) -> None:
    async with engine_on(tmp_path, nonzero()) as (engine, _):
        for n in (3, 0, 5):
            x = np.zeros((1, 8), np.float32)
            x[0, :n] = 7
            assert same((await engine.infer(x))["found"], row(7, n))


# -- sharing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("graphs", [True, False])
async def test_an_output_in_the_memory_of_its_input(tmp_path: Path, graphs: bool) -> None:
    x = tensor("state", (-1, 4), ((1, 4), (4, 4), (4, 4)))
    y = tensor("next", (-1, 4), alias_of="state")
    model = models.Model("alias", [x], [y], models.host_kernel(double))
    async with engine_on(tmp_path, model, graphs=graphs) as (engine, _):
        for n in range(20):
            values = [rows([n, n + 1, n + 2]), row(n)]
            async with anyio.create_task_group() as tasks:
                callers = [start(tasks, engine, value) for value in values]
                await ended(*callers)
            for value, caller in zip(values, callers, strict=True):
                assert same(caller.answer, double(value))


@pytest.mark.parametrize("graphs", [True, False])
@pytest.mark.parametrize("width", [4, WIDE])
async def test_two_batches_in_flight_on_one_stream(
    tmp_path: Path, width: int, graphs: bool
) -> None:
    model = models.elementwise(double, width=width, name="any")
    async with engine_on(tmp_path, model, streams=1, graphs=graphs, max_batch_size=2) as (
        engine,
        gpu,
    ):
        with gpu.world.held():
            async with anyio.create_task_group() as tasks:
                asked = [rows([1, 2], width), rows([3, 4], width)]
                callers = [await submit(tasks, engine, value) for value in asked]
                await until(lambda: engine.statistics().in_flight == 4)
                gpu.world.step()
                assert not any(caller.done for caller in callers)
                release(gpu)
                await ended(*callers)
        for value, caller in zip(asked, callers, strict=True):
            assert same(caller.answer, double(value))


async def test_lanes_do_not_share_activation_memory(tmp_path: Path) -> None:
    model = models.elementwise(double, activation_bytes=1 << 16)
    async with engine_on(tmp_path, model, streams=4, graphs=False) as (engine, _):
        for n in range(20):
            await ask_all(engine, [row(n + m) for m in range(64)])


async def _device_bytes(folder: Path, sizes: list[int]) -> tuple[int, Installed]:
    model = models.elementwise(double, width=64, most=64, activation_bytes=1 << 20)
    async with engine_on(folder, model, batch_sizes=sizes) as (_, gpu):
        return gpu.world.live_bytes(pinned=False), gpu


async def test_seven_batch_sizes_need_the_device_memory_of_one(tmp_path: Path) -> None:
    one, _ = await _device_bytes(tmp_path, [64])
    seven, gpu = await _device_bytes(tmp_path, [1, 2, 4, 8, 16, 32, 64])
    assert gpu.context_calls["execute_async_v3"] >= 2 * 7
    assert seven <= 1.1 * one
