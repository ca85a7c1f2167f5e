"""Memory of a batch belongs to the device until its event has fired; closing gives all back."""

import random
import threading
import weakref
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from support import doubles
from support.doubles import Installed, models
from support.helpers import (
    MODELS,
    PATIENCE,
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
from tests.tensorrt.support import FILLERS, double, engine_on, release, tensor, write
from trtasync import CudaError, DeviceLost, EngineClosed, InferenceError, open_engine

pytestmark = pytest.mark.anyio


def pair(width: int = 4) -> models.Model:
    """Two inputs: their rows are copied by threads when they are larger than `inline_bytes`."""
    ranges = ((1, width), (4, width), (4, width))
    inputs = [tensor("a", (-1, width), ranges), tensor("b", (-1, width), ranges)]
    kernel = models.host_kernel(lambda a, b: a - b)
    return models.Model("pair", inputs, [tensor("y", (-1, width))], kernel)


async def running(engine: Any, count: int) -> None:
    await until(lambda: engine.statistics().in_flight == count)


# -- slots ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("graphs", [True, False])
async def test_a_slot_is_not_used_again_before_its_event_fired(
    tmp_path: Path, graphs: bool
) -> None:
    async with engine_on(tmp_path, streams=1, graphs=graphs, max_batch_size=2) as (engine, gpu):
        with gpu.world.held():
            async with anyio.create_task_group() as tasks:
                leavers = [await submit(tasks, engine, rows([n, n])) for n in range(2)]
                await running(engine, 4)
                for caller in leavers:
                    caller.scope.cancel()
                await ended(*leavers)
                callers = [await submit(tasks, engine, rows([n, -n])) for n in range(50, 60)]
                assert engine.statistics().in_flight == 4  # both slots stay on the device
                release(gpu)
                await ended(*callers)
        for n, caller in enumerate(callers, 50):
            assert same(caller.answer, double(rows([n, -n])))
        check_at_rest(engine)


def _refuses(condition: Callable[[], bool]) -> models.Kernel:
    kernel = models.host_kernel(double)
    return lambda context, stream: not condition() and kernel(context, stream)


async def test_a_refused_batch_is_run_again_and_everybody_is_answered(tmp_path: Path) -> None:
    refusals = [False]
    model = models.elementwise(double, kernel=_refuses(lambda: bool(refusals) and refusals.pop()))
    async with engine_on(tmp_path, model, streams=1, graphs=False) as (engine, gpu):
        refusals[:] = [True]
        with gpu.world.held():
            async with anyio.create_task_group() as tasks:
                callers = [start(tasks, engine, row(n)) for n in range(6)]
                waits = gpu.world.calls["cudaStreamSynchronize"]
                releaser = threading.Thread(target=_release_when_waited_for, args=(gpu, waits))
                releaser.start()
                await ended(*callers)
                releaser.join()
        assert all(same(c.answer, row(2 * n + 1)) for n, c in enumerate(callers))
        assert check_at_rest(engine).retried == 1


def _release_when_waited_for(gpu: Installed, before: int) -> None:
    """The loop's thread blocks in cudaStreamSynchronize, so another one lets the streams go."""
    deadline = threading.Event()
    while gpu.world.calls["cudaStreamSynchronize"] == before and not deadline.wait(0.001):
        pass
    release(gpu)


async def test_the_stream_is_waited_for_before_a_refused_batch_lets_go_of_its_slot(
    tmp_path: Path,
) -> None:
    refusing = False
    waits: list[int] = []
    model = models.elementwise(double, kernel=_refuses(lambda: refusing))
    async with engine_on(tmp_path, model, streams=1, graphs=False) as (engine, gpu):
        refusing = True
        waits.append(gpu.world.calls["cudaStreamSynchronize"])
        with pytest.raises(InferenceError, match="refused to enqueue the batch: TensorRT gave no"):
            await engine.infer(row(1))
        waits.append(gpu.world.calls["cudaStreamSynchronize"])
        refusing = False
        assert waits[1] == waits[0] + 1
        assert same(await engine.infer(row(2)), row(5))


async def test_a_request_that_is_always_refused_fails_alone(tmp_path: Path) -> None:
    # what makes TensorRT refuse here is the size of the batch: four rows and more never run
    kernel = models.host_kernel(double)
    warm = [True]

    def run(context: Any, stream: int) -> bool:
        return bool(warm or context._shapes["x"][0] < 4) and kernel(context, stream)

    model = models.elementwise(double, kernel=run)
    async with engine_on(tmp_path, model, streams=1, graphs=False) as (engine, _):
        warm.clear()
        async with anyio.create_task_group() as tasks:
            blockers = [await submit(tasks, engine, row(n)) for n in range(2)]
            small = [start(tasks, engine, row(n)) for n in range(3)]
            large = start(tasks, engine, rows(range(5)))
            await ended(*blockers, *small, large)
        assert isinstance(large.error, InferenceError)
        assert all(same(c.answer, row(2 * n + 1)) for n, c in enumerate(small))
        assert check_at_rest(engine).failed == 1


# -- staging by threads ---------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("seed", [1, 2])
async def test_copies_by_threads_are_right_under_cancellation(
    tmp_path: Path, seed: int, threads: int
) -> None:
    chance = random.Random(seed)
    async with engine_on(tmp_path, pair(), inline_bytes=0, copy_threads=threads) as (engine, _):
        asked, callers = [], list[Caller]()
        async with anyio.create_task_group() as tasks:
            for number in range(200):
                a = rows(range(number, number + chance.choice([1, 2, 4, 7])))
                asked.append(a)
                callers.append(start(tasks, engine, [a, a / 2]))
                if chance.random() < 0.3:
                    await anyio.lowlevel.checkpoint()
                if chance.random() < 0.4:
                    chance.choice(callers).scope.cancel()
            await ended(*callers)
        for a, caller in zip(asked, callers, strict=True):
            assert caller.error is None
            assert caller.cancelled or same(caller.answer["y"], a - a / 2)
        check_at_rest(engine)


async def test_a_batch_waits_for_the_copies_on_their_way(tmp_path: Path) -> None:
    gate = threading.Event()
    async with engine_on(tmp_path, inline_bytes=0, copy_threads=1) as (engine, gpu):
        engine._backend._threads.put(lambda: gate.wait(PATIENCE) and None)  # type: ignore[attr-defined]
        async with anyio.create_task_group() as tasks:
            caller = await submit(tasks, engine, rows([1, 2, 3]))
            await running(engine, 3)
            before = dict(gpu.world.calls)
            for _ in range(5):
                await anyio.lowlevel.checkpoint()
            assert dict(gpu.world.calls) == before  # nothing is launched meanwhile
            gate.set()
            await ended(caller)
        assert same(caller.answer, rows([3, 5, 7]))


async def test_a_copy_on_its_way_does_not_write_over_who_got_its_place(tmp_path: Path) -> None:
    # rows withdrawn at the end of a batch are given to others without a move
    gate = threading.Event()
    async with engine_on(
        tmp_path, streams=1, max_batch_size=4, inline_bytes=16, copy_threads=1
    ) as (engine, gpu):
        with gpu.world.held():
            async with anyio.create_task_group() as tasks:
                blockers = [await submit(tasks, engine, rows([n] * 4)) for n in (1, 2)]
                await running(engine, 8)
                first = await submit(tasks, engine, row(9))
                engine._backend._threads.put(lambda: gate.wait(PATIENCE) and None)  # type: ignore[attr-defined]
                leaver = await submit(tasks, engine, rows([50, 51, 52]))
                leaver.scope.cancel()
                await ended(leaver)
                fillers = [await submit(tasks, engine, rows([n] * 4)) for n in range(FILLERS)]
                later = [await submit(tasks, engine, row(n)) for n in (1, 2, 3)]
                opener = threading.Timer(0.05, gate.set)  # the loop's thread may wait for the copy
                opener.start()
                release(gpu)
                await ended(*blockers, first, *fillers, *later)
                opener.join()
        assert same(first.answer, row(19))
        for n, caller in enumerate(fillers):
            assert same(caller.answer, rows([2 * n + 1] * 4))
        for n, caller in enumerate(later, 1):
            assert same(caller.answer, row(2 * n + 1))


async def test_a_slot_is_not_bound_again_while_a_copy_is_on_its_way(tmp_path: Path) -> None:
    gate = threading.Event()
    async with engine_on(
        tmp_path, streams=1, max_batch_size=4, inline_bytes=16, copy_threads=1
    ) as (engine, gpu):
        async with anyio.create_task_group() as tasks:
            with gpu.world.held():
                blockers = [await submit(tasks, engine, rows([n] * 4)) for n in (1, 2)]
                await running(engine, 8)
                engine._backend._threads.put(lambda: gate.wait(PATIENCE) and None)  # type: ignore[attr-defined]
                leaver = await submit(tasks, engine, rows([50, 51, 52]))
                leaver.scope.cancel()
                await ended(leaver)
                opener = threading.Timer(0.02, gate.set)  # the loop's thread blocks in `bind`
                opener.start()
                callers = [await submit(tasks, engine, row(n)) for n in (1, 2, 3)]
                assert gate.is_set()
                release(gpu)
                await ended(*blockers, *callers)
                opener.join()
        for n, caller in enumerate(callers, 1):
            assert same(caller.answer, row(2 * n + 1))


async def test_a_copy_that_failed_for_who_left_is_nobody_elses(tmp_path: Path) -> None:
    async with engine_on(tmp_path, inline_bytes=0, copy_threads=1) as (engine, _):
        assert same(await engine.infer(row(1)), row(3))
        for slot in engine._core.policy.slots.all:
            assert slot.copies is not None
            slot.copies.problem = MemoryError("no room")  # as of a batch that all have left
        for n in range(8):
            assert same(await engine.infer(row(n)), row(2 * n + 1))


# -- closing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("graphs", [True, False])
async def test_closing_waits_for_work_in_flight(tmp_path: Path, graphs: bool) -> None:
    path = write(tmp_path, models.elementwise(double))
    with doubles.install() as gpu:
        callers: list[Caller] = []
        async with anyio.create_task_group() as tasks:
            with ExitStack() as stack:
                async with open_engine(path, graphs=graphs) as engine:
                    stack.enter_context(gpu.world.held())
                    callers = [start(tasks, engine, row(n)) for n in range(40)]
                    await until(lambda: engine.statistics().queued > 0)
                    await until(lambda: all(caller.began for caller in callers))
                    tasks.start_soon(_release_when, gpu, lambda: "closing" in repr(engine))
        assert all(same(c.answer, row(2 * n + 1)) for n, c in enumerate(callers))


async def _release_when(gpu: Installed, condition: Callable[[], bool]) -> None:
    await until(condition)
    release(gpu)


async def test_an_abort_waits_for_the_device_too(tmp_path: Path) -> None:
    path = write(tmp_path, models.elementwise(double))
    with doubles.install() as gpu:
        async with anyio.create_task_group() as tasks:
            with ExitStack() as stack:
                async with open_engine(path, streams=1, max_batch_size=2) as engine:
                    stack.enter_context(gpu.world.held())
                    callers = [start(tasks, engine, row(n)) for n in range(20)]
                    await running(engine, 4)
                    tasks.start_soon(_release_when, gpu, lambda: "closing" in repr(engine))
                    await engine.aclose(drain=False)
        outcomes = [caller.error for caller in callers]
        assert outcomes.count(None) == 4
        assert all(error is None or isinstance(error, EngineClosed) for error in outcomes)


async def test_everything_is_freed_in_the_reverse_order(tmp_path: Path) -> None:
    path = write(tmp_path, models.elementwise(double))
    order: list[str] = []
    with doubles.install() as gpu:
        enter = gpu.world.enter_call

        def note(name: str, needs_device: bool) -> None:
            if "Destroy" in name or "Free" in name:
                order.append(name)
            enter(name, needs_device)

        async with open_engine(path, streams=1) as engine:
            assert same(await engine.infer(row(1)), row(3))
            gpu.world.enter_call = note  # type: ignore[method-assign]
        firsts = list(dict.fromkeys(order))
    assert firsts.index("cudaGraphExecDestroy") < firsts.index("cudaFreeHost")
    assert firsts.index("cudaFreeHost") < firsts.index("cudaFree")
    assert firsts[-1] == "cudaStreamDestroy"


async def test_each_engine_goes_on_its_own_gpu_and_before_the_runtime(tmp_path: Path) -> None:
    freed: list[tuple[int, bool]] = []
    async with engine_on(tmp_path, gpus=2, devices=[0, 1]) as (engine, gpu):
        backend: Any = engine._backend

        def note() -> None:
            freed.append((gpu.world.device, backend._runtime is not None))

        for at in range(2):
            weakref.finalize(backend._engines[at][1], note)
    assert freed == [(1, True), (0, True)]


# -- a device that breaks -------------------------------------------------------------------------


@pytest.mark.parametrize("graphs", [True, False])
@pytest.mark.parametrize("loop_budget", [0.0, 0.001])
async def test_requests_on_a_broken_device_fail_and_the_engine_refuses_afterwards(
    tmp_path: Path, graphs: bool, loop_budget: float
) -> None:
    path = write(tmp_path, models.elementwise(double))
    with doubles.install(clean=False) as gpu:
        async with open_engine(
            path, graphs=graphs, loop_budget=loop_budget, max_batch_size=2
        ) as engine:
            assert same(await engine.infer(row(1)), row(3))
            async with anyio.create_task_group() as tasks:
                with gpu.world.held():
                    callers = [start(tasks, engine, row(n)) for n in range(20)]
                    await running(engine, 8)
                    gpu.world.break_device()
                await ended(*callers)
            assert all(isinstance(caller.error, DeviceLost) for caller in callers)
            assert any("cudaErrorLaunchFailure" in str(caller.error) for caller in callers)
            with pytest.raises(
                DeviceLost, match=r"no stream is left.*LaunchFailure.*; restart"
            ) as last:
                await engine.infer(row(1))
            words = [str(caller.error) for caller in callers] + [str(last.value)]
            # one thing to do, said once
            assert all(text.count("restart") == 1 for text in words)
            assert not any("another" in text or "." in text[:-1] for text in words)
        assert all(not stream.alive for stream in engine.statistics().streams)
        assert gpu.world.violations == []


async def test_an_idle_broken_device_is_noticed_by_the_next_request(tmp_path: Path) -> None:
    path = write(tmp_path, models.elementwise(double))
    with doubles.install(clean=False) as gpu:
        async with open_engine(path, streams=2) as engine:
            gpu.world.break_device("cudaErrorIllegalAddress")
            for _ in range(3):
                with pytest.raises(DeviceLost, match="IllegalAddress"):
                    await engine.infer(row(1))


SURVIVORS = frozenset({"cudaGetDeviceCount", "cudaSetDevice", "cudaGetDeviceProperties"})
"""What a driver may go on answering after a loss: no context is needed for it."""


@pytest.mark.parametrize("survivors", [frozenset(), SURVIVORS], ids=["deaf", "half-deaf"])
@pytest.mark.parametrize("kind", ["plan", "onnx"])
async def test_opening_after_a_loss_says_that_the_device_is_lost(
    tmp_path: Path, survivors: frozenset[str], kind: str
) -> None:
    plan = write(tmp_path, models.elementwise(double))
    with doubles.install(clean=False) as gpu:
        async with open_engine(plan) as engine:
            gpu.world.break_device()
            gpu.world.survivors = survivors
            with pytest.raises(DeviceLost):
                await engine.infer(row(1))
        with pytest.raises(DeviceLost, match=r"LaunchFailure \(719\).*restart this process"):
            async with open_engine(plan if kind == "plan" else MODELS / "gather.onnx"):
                pass


# -- failures while opening -----------------------------------------------------------------------

CALLS = [
    "cudaHostAlloc",
    "cudaMalloc",
    "cudaStreamCreateWithFlags",
    "cudaEventCreateWithFlags",
    "cudaMemsetAsync",
    "cudaStreamSynchronize",
    "cudaGetDeviceProperties",
    "cudaSetDevice",
]


@pytest.mark.parametrize("late", [False, True], ids=["first-call", "later-call"])
@pytest.mark.parametrize("function", CALLS)
async def test_a_failure_while_opening_names_itself_and_leaves_nothing(
    tmp_path: Path, function: str, late: bool
) -> None:
    path = write(tmp_path, models.elementwise(double))
    with doubles.install() as gpu:
        if late:
            _fail_second(gpu, function)
        else:
            gpu.world.fail(function, "cudaErrorMemoryAllocation")
        if late and function in ("cudaGetDeviceProperties", "cudaSetDevice"):
            return  # called once, or in other threads too
        with pytest.raises(CudaError, match=f"{function}: cudaErrorMemoryAllocation"):
            async with open_engine(path):
                pass
    with doubles.install():
        async with open_engine(path) as engine:
            assert same(await engine.infer(row(1)), row(3))


def _fail_second(gpu: Installed, function: str) -> None:
    enter, seen = gpu.world.enter_call, [0]

    def count(name: str, needs_device: bool) -> None:
        if name == function:
            seen[0] += 1
            if seen[0] == 2:
                gpu.world.fail(function, "cudaErrorMemoryAllocation")
        enter(name, needs_device)

    gpu.world.enter_call = count  # type: ignore[method-assign]


@pytest.mark.parametrize(
    "function", ["cudaStreamBeginCapture", "cudaGraphInstantiate", "cudaGraphUpload"]
)
async def test_a_graph_that_cannot_be_made_is_done_without(
    tmp_path: Path, function: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path, models.elementwise(double))
    with doubles.install() as gpu:
        gpu.world.fail(function, "cudaErrorMemoryAllocation")
        async with open_engine(path, streams=1) as engine:
            for n in range(10):
                assert same(await engine.infer(row(n)), row(2 * n + 1))
    assert f"{function}: cudaErrorMemoryAllocation" in caplog.text


async def test_a_failing_launch_fails_its_request_only(tmp_path: Path) -> None:
    async with engine_on(tmp_path, streams=1) as (engine, gpu):
        gpu.world.fail("cudaGraphLaunch", "cudaErrorInvalidValue")
        with pytest.raises(CudaError, match="InvalidValue"):
            await engine.infer(row(1))
        assert same(await engine.infer(row(2)), row(5))
