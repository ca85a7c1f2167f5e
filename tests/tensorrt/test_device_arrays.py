"""Arrays in device memory, in and out, on the doubles."""

import gc
import random
import weakref
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import numpy as np
import pytest

from support import doubles
from support.doubles import cuda_runtime as cuda
from support.doubles import models
from support.doubles.kernels import view
from support.helpers import (
    MODELS,
    Array,
    Caller,
    check_at_rest,
    ended,
    row,
    rows,
    same,
    start,
    submit,
    until,
)
from tests.tensorrt.devices import KINDS, Dlpack, Interface, Producer, called
from tests.tensorrt.support import FILLERS, double, engine_on, lines, release, tensor, write
from trtasync import Cut, InvalidInput, Pad, open_engine
from trtasync.requests.array_types import ArrayOnDevice
from trtasync.runtimes.cuda import DeviceArray, dlpack

pytestmark = pytest.mark.anyio

BOTH = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())


def content(array: ArrayOnDevice) -> Array:
    """What lies in an answer's memory."""
    found: Array = view(array.address, array.shape, array.dtype).copy()
    return found


# -- in -------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("graphs", [True, False])
async def test_one_row_rows_and_split_requests(
    tmp_path: Path, kind: type[Dlpack | Interface], graphs: bool
) -> None:
    async with engine_on(tmp_path, graphs=graphs) as (engine, _):
        for values in (row(3), rows([1]), rows([1, 2, 3]), rows(range(8)), rows(range(21))):
            with closing(kind(values)) as array:
                assert same(await engine.infer(array), double(values))
                assert same((await engine.infer({"x": array}))["y"], double(values))


@BOTH
async def test_large_rows(tmp_path: Path, kind: type[Dlpack | Interface]) -> None:
    model = models.elementwise(double, width=6 * 1024, name="wide")
    async with engine_on(tmp_path, model) as (engine, _):
        values = np.arange(3 * 6 * 1024, dtype=np.float32).reshape(3, -1)
        with closing(kind(values)) as array:
            assert same(await engine.infer(array), double(values))


@BOTH
@pytest.mark.parametrize("graphs", [True, False])
async def test_the_copy_waits_for_the_stream_that_makes_the_array(
    tmp_path: Path, kind: type[Dlpack | Interface], graphs: bool
) -> None:
    async with engine_on(tmp_path, graphs=graphs) as (engine, gpu):
        with closing(Producer(gpu)) as producer, closing(kind(row(1), producer=producer)) as array:
            producer.write_late(array, row(7))
            async with anyio.create_task_group() as tasks:
                caller = await submit(tasks, engine, array)
                await until(lambda: engine.statistics().in_flight == 1)
                assert not caller.done
                producer.go()
            assert same(caller.answer, row(15))


@BOTH
async def test_device_rows_and_host_rows_share_a_batch(
    tmp_path: Path, kind: type[Dlpack | Interface]
) -> None:
    async with engine_on(tmp_path, streams=1) as (engine, gpu):
        with ExitStack() as stack, gpu.world.held():
            mine = [stack.enter_context(closing(kind(rows([n, n + 1])))) for n in range(0, 40, 4)]
            async with anyio.create_task_group() as tasks:
                callers = [
                    await submit(tasks, engine, what)
                    for n, array in enumerate(mine)
                    for what in (array, row(100 + n))
                ]
                release(gpu)
                await ended(*callers)
        for n in range(10):
            assert same(callers[2 * n].answer, double(rows([4 * n, 4 * n + 1])))
            assert same(callers[2 * n + 1].answer, double(row(100 + n)))
        assert check_at_rest(engine).batches < 20


async def test_a_host_array_and_a_device_array_in_one_request(tmp_path: Path) -> None:
    ranges = ((1, 2), (4, 2), (8, 2))
    inputs = [tensor("a", (-1, 2), ranges), tensor("b", (-1, 2), ranges)]
    model = models.Model(
        "minus", inputs, [tensor("y", (-1, 2))], models.host_kernel(lambda a, b: a - b)
    )
    async with engine_on(tmp_path, model) as (engine, _):
        with closing(Dlpack(rows([5, 6], 2))) as b:
            answer = await engine.infer([rows([1, 2], 2), b])
            assert same(answer["y"], rows([-4, -4], 2))


async def _blocked(tasks: Any, engine: Any) -> list[Caller]:
    """Callers that keep the only lane (of depth 2) busy as long as the streams are held."""
    blockers = [await submit(tasks, engine, rows([-n] * 4)) for n in (1, 2)]
    await until(lambda: engine.statistics().in_flight == 8)
    return blockers


@BOTH
@pytest.mark.parametrize("later", ["in-one", "row-by-row"])
async def test_a_cancelled_device_row_does_not_write_over_who_got_its_place(
    tmp_path: Path, kind: type[Dlpack | Interface], later: str
) -> None:
    async with engine_on(tmp_path, streams=1, max_batch_size=4) as (engine, gpu):
        with closing(kind(rows([50, 51, 52]))) as array, gpu.world.held():
            async with anyio.create_task_group() as tasks:
                blockers = await _blocked(tasks, engine)
                first = await submit(tasks, engine, row(9))
                leaver = await submit(tasks, engine, array)
                asked: list[Any] = [rows([n] * 4) for n in range(FILLERS)]
                asked += [rows([1, 2, 3])] if later == "in-one" else [row(1), row(2), row(3)]
                callers = [await submit(tasks, engine, what) for what in asked]
                leaver.scope.cancel()
                await ended(leaver)
                release(gpu)
                await ended(first, *blockers, *callers)
        assert same(first.answer, row(19))
        for what, caller in zip(asked, callers, strict=True):
            assert same(caller.answer, double(what))


@BOTH
async def test_cancelled_rows_are_closed_up_with_device_rows_among_them(
    tmp_path: Path, kind: type[Dlpack | Interface]
) -> None:
    async with engine_on(tmp_path, streams=1, max_batch_size=4) as (engine, gpu):
        with ExitStack() as stack, gpu.world.held():
            arrays = [stack.enter_context(closing(kind(row(60 + n)))) for n in range(2)]
            async with anyio.create_task_group() as tasks:
                blockers = await _blocked(tasks, engine)
                asked = [arrays[0], row(1), arrays[1], row(2)]
                callers = [await submit(tasks, engine, what) for what in asked]
                callers[0].scope.cancel()
                await ended(callers[0])
                release(gpu)
                await ended(*blockers, *callers)
        for caller, value in zip(callers[1:], (1, 61, 2), strict=True):
            assert same(caller.answer, row(2 * value + 1))


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_mixed_host_and_device_requests_with_random_cancellation(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    async with engine_on(tmp_path, streams=2, max_batch_size=4) as (engine, _):
        asked, callers = [], list[Caller]()
        with ExitStack() as stack:
            async with anyio.create_task_group() as tasks:
                for number in range(200):
                    count = chance.choice([1, 1, 2, 3, 6])
                    values = rows(range(number, number + count))
                    what: Any = values
                    if chance.random() < 0.5:
                        what = stack.enter_context(closing(Dlpack(values)))
                    asked.append(values)
                    callers.append(start(tasks, engine, what))
                    if chance.random() < 0.2:
                        await anyio.lowlevel.checkpoint()
                    if chance.random() < 0.3:
                        chance.choice(callers).scope.cancel()
                await ended(*callers)
        for values, caller in zip(asked, callers, strict=True):
            assert caller.error is None
            assert caller.cancelled or same(caller.answer, double(values))


@BOTH
async def test_an_array_is_kept_until_it_was_copied_even_if_its_caller_left(
    tmp_path: Path, kind: type[Dlpack | Interface]
) -> None:
    async with engine_on(tmp_path) as (engine, gpu):
        array: Any = kind(row(1))
        kept = weakref.ref(array)
        weakref.finalize(array, _free, array.address)
        with gpu.world.held():
            async with anyio.create_task_group() as tasks:
                caller = await submit(tasks, engine, array)
                await until(lambda: engine.statistics().in_flight == 1)
                caller.scope.cancel()
                await ended(caller)
            del array, caller
            gc.collect()
            assert kept() is not None
            release(gpu)
            await until(lambda: engine.statistics().in_flight == 0)
        assert kept() is None


def _free(address: int) -> None:
    called(cuda.cudaSetDevice, 0)
    called(cuda.cudaFree, address)


@BOTH
async def test_a_device_array_of_another_dtype_is_refused(
    tmp_path: Path, kind: type[Dlpack | Interface]
) -> None:
    async with engine_on(tmp_path) as (engine, _):
        with (
            closing(kind(row(1).astype(np.float64))) as array,
            pytest.raises(InvalidInput, match=r"x: float32.*float64.*convert it to float32"),
        ):
            await engine.infer(array)
        assert same(await engine.infer(row(1)), row(3))


@pytest.mark.parametrize("strides", [(4, 8), (32, 4), (18, 4), (16, 8)])
async def test_a_device_array_that_is_not_contiguous_is_refused(
    tmp_path: Path, strides: tuple[int, ...]
) -> None:
    async with engine_on(tmp_path) as (engine, _):
        with closing(Interface(rows([1, 2]))) as array:
            array.strides = strides
            with pytest.raises(InvalidInput, match="it must be row-major"):
                await engine.infer(array)
        assert same(await engine.infer(row(1)), row(3))


async def test_contiguous_strides_are_fine(tmp_path: Path) -> None:
    async with engine_on(tmp_path) as (engine, _):
        with closing(Interface(rows([1, 2]))) as array:
            array.strides = (16, 4)
            assert same(await engine.infer(array), rows([3, 5]))


async def test_an_array_on_another_device_is_refused(tmp_path: Path) -> None:
    async with engine_on(tmp_path, gpus=2) as (engine, _):
        with (
            closing(Dlpack(row(1), device=1)) as array,
            pytest.raises(InvalidInput, match=r"on GPU 1, but this engine runs on GPU\(s\) \[0\]"),
        ):
            await engine.infer(array)
        assert same(await engine.infer(row(1)), row(3))


async def test_a_device_array_with_padding_is_refused(tmp_path: Path) -> None:
    padding = {"x": Pad(axis=1, multiple_of=4)}
    async with engine_on(tmp_path, lines(), padding=padding) as (engine, _):
        with (
            closing(Dlpack(row(1))) as array,
            pytest.raises(InvalidInput, match="without padding="),
        ):
            await engine.infer(array)
        assert same(await engine.infer(row(1)), row(3))


async def test_engines_on_two_devices_take_arrays_of_both(tmp_path: Path) -> None:
    async with engine_on(tmp_path, gpus=2, devices=[0, 1]) as (engine, _):
        for device in (0, 1):
            with closing(Dlpack(rows([4, 5]), device=device)) as array:
                assert same(await engine.infer(array), rows([9, 11]))


@pytest.mark.parametrize("devices", [[0], [0, 1]])
async def test_many_device_arrays_need_few_events(tmp_path: Path, devices: list[int]) -> None:
    async with engine_on(tmp_path, gpus=2, devices=devices) as (engine, gpu):
        before = gpu.world.calls["cudaEventCreateWithFlags"]
        with closing(Dlpack(row(4))) as array:
            for _ in range(100):
                assert same(await engine.infer(array), row(9))
        assert gpu.world.calls["cudaEventCreateWithFlags"] - before <= 20


# -- out ------------------------------------------------------------------------------------------


async def test_answers_lie_on_the_device_of_the_engine(tmp_path: Path) -> None:
    async with engine_on(tmp_path, gpus=2, devices=[1]) as (engine, gpu):
        called(cuda.cudaSetDevice, 0)  # as another library in this thread may do at any time
        answer = await engine.infer(row(1), outputs="device")
        block = gpu.world.find(answer.address, 16)
        assert block is not None
        assert (answer.device, block.device) == (1, 1)
        del answer


@pytest.mark.parametrize("graphs", [True, False])
@pytest.mark.parametrize("onto", [np.asarray, Dlpack])
async def test_answers_that_stay_on_the_device(tmp_path: Path, onto: Any, graphs: bool) -> None:
    async with engine_on(tmp_path, graphs=graphs) as (engine, _):
        for values in (row(3), rows([1, 2, 3]), rows(range(8))):
            given = onto(values)
            answer = await engine.infer(given, outputs="device")
            assert isinstance(answer, DeviceArray)
            assert (answer.shape, answer.dtype, answer.device) == (values.shape, values.dtype, 0)
            assert same(content(answer), double(values))
            if onto is Dlpack:
                given.close()
            del answer


async def test_a_split_answer_on_the_device_lets_go_of_its_memory(tmp_path: Path) -> None:
    # it does not wait for the collector, although a call and its parts point at each other
    async with engine_on(tmp_path) as (engine, gpu):
        answer = await engine.infer(rows(range(19)), outputs="device")
        assert same(content(answer), double(rows(range(19))))
        del answer
        try:
            await until(lambda: gpu.world.calls["cudaDeviceSynchronize"] > 0)
        finally:
            gc.collect()  # not in a later test, on another world


async def test_answers_on_the_device_and_in_host_memory_share_a_batch(tmp_path: Path) -> None:
    async with engine_on(tmp_path, streams=1) as (engine, gpu):
        answers: dict[int, Any] = {}

        async def ask(number: int) -> None:
            where: Any = "device" if number % 2 else "host"
            answers[number] = await engine.infer(row(number), outputs=where)

        with gpu.world.held():
            async with anyio.create_task_group() as tasks:
                for number in range(20):
                    tasks.start_soon(ask, number)
                await until(lambda: engine.statistics().requests == 20)
                release(gpu)
        for number, answer in answers.items():
            found = content(answer) if number % 2 else answer
            assert same(found, row(2 * number + 1))
        assert engine.statistics().batches < 20
        answers.clear()
        del answer


async def test_a_device_answer_speaks_both_protocols(tmp_path: Path) -> None:
    async with engine_on(tmp_path) as (engine, _):
        answer = await engine.infer(rows([1, 2]), outputs="device")
        interface = answer.__cuda_array_interface__
        assert interface["data"] == (answer.address, False)
        assert (interface["shape"], interface["typestr"]) == ((2, 4), "<f4")
        assert answer.__dlpack_device__() == (dlpack.CUDA, 0)
        address, shape, strides, code, device = dlpack.read(answer.__dlpack__())
        assert (address, shape, strides, device) == (answer.address, (2, 4), None, 0)
        assert code == dlpack.dtype_code(np.dtype(np.float32))
        assert same(content(answer[1]), row(5))
        assert same(content(answer[1:]), rows([5]))
        assert len(answer) == 2
        del answer


async def test_a_device_answer_is_a_device_input(tmp_path: Path) -> None:
    async with engine_on(tmp_path) as (engine, _):
        answer = await engine.infer(row(1), outputs="device")
        assert same(await engine.infer(answer), row(7))
        del answer


async def test_the_memory_of_an_answer_is_its_holders_own(tmp_path: Path) -> None:
    async with engine_on(tmp_path) as (engine, _):
        kept = [await engine.infer(row(n), outputs="device") for n in range(20)]
        assert len({answer.address for answer in kept}) == 20
        for n, answer in enumerate(kept):
            assert same(content(answer), row(2 * n + 1))
        kept.clear()
        gc.collect()
        del answer


async def test_a_capsule_and_a_view_keep_the_memory(tmp_path: Path) -> None:
    async with engine_on(tmp_path) as (engine, _):
        answer = await engine.infer(rows([1, 2]), outputs="device")
        address, capsule, view_ = answer.address, answer.__dlpack__(), answer[1]
        del answer
        gc.collect()
        others = [await engine.infer(rows([n, n]), outputs="device") for n in range(8)]
        assert address not in {other.address for other in others}
        del view_
        others += [await engine.infer(rows([n, n]), outputs="device") for n in range(8)]
        assert address not in {other.address for other in others}
        assert dlpack.read(capsule)[0] == address
        others.clear()
        del capsule


async def test_released_memory_is_used_again(tmp_path: Path) -> None:
    async with engine_on(tmp_path) as (engine, gpu):
        calls = gpu.world.calls
        before = calls["cudaMalloc"]
        for n in range(50):
            waited = calls["cudaDeviceSynchronize"]
            answer = await engine.infer(row(n), outputs="device")
            assert same(content(answer), row(2 * n + 1))
            del answer
            await until(lambda at=waited: calls["cudaDeviceSynchronize"] > at)  # type: ignore[misc]
        assert calls["cudaMalloc"] - before <= 4


async def test_an_answer_may_outlive_its_engine(tmp_path: Path) -> None:
    path = write(tmp_path, models.elementwise(double))
    with doubles.install() as gpu:
        async with open_engine(path) as engine:
            answer = await engine.infer(row(1), outputs="device")
        assert same(content(answer), row(3))
        assert gpu.world.leftovers() == {"allocations": 1}
        del answer
        await anyio.lowlevel.checkpoint()
        assert gpu.world.leftovers() == {}


async def test_a_cancelled_request_for_the_device_leaves_nothing(tmp_path: Path) -> None:
    async with engine_on(tmp_path) as (engine, gpu):
        with gpu.world.held():
            async with anyio.create_task_group() as tasks:

                async def ask() -> None:
                    await engine.infer(row(1), outputs="device")

                tasks.start_soon(ask)
                await until(lambda: engine.statistics().in_flight == 1)
                tasks.cancel_scope.cancel()
        assert same(await engine.infer(row(2)), row(5))
        gc.collect()  # the cancellation's traceback holds the request


async def test_device_answers_are_refused_where_they_cannot_be(tmp_path: Path) -> None:
    padding = {"x": Pad(axis=1, multiple_of=8, outputs={"y": Cut(1, lambda n: n)})}
    async with engine_on(tmp_path, lines(), padding=padding) as (engine, _):
        with pytest.raises(InvalidInput, match="cannot be combined with padding="):
            await engine.infer(row(1), outputs="device")
        whole = await engine.infer(row(1, 8), outputs="device")
        assert same(content(whole), row(3, 8))
        with pytest.raises(InvalidInput, match="must be 'host' or 'device', not 'gpu'"):
            await engine.infer(row(1), outputs="gpu")  # type: ignore[call-overload]  # the point
        del whole
    async with engine_on(tmp_path, gpus=2, devices=[0, 1]) as (engine, _):
        with pytest.raises(InvalidInput, match="needs an engine on one GPU"):
            await engine.infer(row(1), outputs="device")
        assert same(await engine.infer(row(1)), row(3))


async def test_the_cpu_has_no_device_arrays() -> None:
    async with open_engine(MODELS / "gather.onnx") as engine:
        with pytest.raises(InvalidInput, match="needs a GPU"):
            await engine.infer(np.array(1), outputs="device")
