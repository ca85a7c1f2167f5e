"""Every rule of the CUDA double bites: captures, faults, and what a test leaves behind."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from support import doubles
from support.doubles import cuda_runtime, models
from support.doubles.world import FRESH, World, current, new_world, replace
from support.helpers import PATIENCE
from tests.doubles.calling import (
    CUDA,
    THREAD_LOCAL,
    TO_DEVICE,
    event,
    in_thread,
    name,
    ok,
    on_device,
    pinned,
)

# -- captures ------------------------------------------------------------------------------------


def captured(stream: int, *work: Callable[[], Any]) -> tuple[Any, ...]:
    ok(CUDA.cudaStreamBeginCapture(stream, THREAD_LOCAL))
    for each in work:
        each()
    result: tuple[Any, ...] = CUDA.cudaStreamEndCapture(stream)
    return result


def test_a_capture_records_and_replays_with_the_same_addresses(gpu: World, stream: int) -> None:
    (source, src), (target, dst) = pinned(), on_device()
    copy = lambda: ok(CUDA.cudaMemcpyAsync(target, source, 16, TO_DEVICE, stream))  # noqa: E731
    other = lambda: in_thread(lambda: [CUDA.cudaSetDevice(0), CUDA.cudaMalloc(1)].clear())  # noqa: E731
    src[:] = 9
    graph = ok(captured(stream, copy, other))
    executable = ok(CUDA.cudaGraphInstantiate(graph, 0))
    ok(CUDA.cudaGraphDestroy(graph))
    ok(CUDA.cudaStreamSynchronize(stream))
    assert (dst == FRESH).all()
    for value in (1, 2):
        src[:] = value
        ok(CUDA.cudaGraphLaunch(executable, stream))
        ok(CUDA.cudaStreamSynchronize(stream))
        assert (dst == value).all()
    assert gpu.leftovers()["graphs"] == 1
    assert gpu.violations == []


def test_what_ends_a_capture(gpu: World, stream: int) -> None:
    made, inside = event(), event()
    ok(CUDA.cudaEventRecord(made, stream))
    for work in (
        lambda: CUDA.cudaStreamSynchronize(stream),
        lambda: CUDA.cudaStreamQuery(stream),
        lambda: CUDA.cudaMalloc(1),
        lambda: CUDA.cudaDeviceSynchronize(),
        lambda: CUDA.cudaStreamWaitEvent(stream, made, 0),
        lambda: [CUDA.cudaEventRecord(inside, stream), CUDA.cudaEventQuery(inside)],
    ):
        result = captured(stream, work)
        assert (name(result), result[1]) == ("cudaErrorStreamCaptureInvalidated", None)
    assert name(CUDA.cudaStreamEndCapture(stream)) == "cudaErrorIllegalState"
    ok(CUDA.cudaStreamSynchronize(stream))
    assert gpu.leftovers() == {"streams": 1, "events": 2}


def test_the_state_of_a_capture(gpu: World, stream: int) -> None:
    states = CUDA.cudaStreamCaptureStatus
    assert ok(CUDA.cudaStreamIsCapturing(stream)) == states.cudaStreamCaptureStatusNone
    ok(CUDA.cudaStreamBeginCapture(stream, THREAD_LOCAL))
    assert ok(CUDA.cudaStreamIsCapturing(stream)) == states.cudaStreamCaptureStatusActive
    CUDA.cudaStreamQuery(stream)
    assert ok(CUDA.cudaStreamIsCapturing(stream)) == states.cudaStreamCaptureStatusInvalidated
    too_late = CUDA.cudaEventRecord(event(), stream)
    assert name(too_late) == "cudaErrorStreamCaptureInvalidated"
    seen: list[str] = []

    def end_elsewhere() -> None:
        CUDA.cudaSetDevice(0)
        seen.append(name(CUDA.cudaStreamEndCapture(stream)))

    in_thread(end_elsewhere)
    assert seen == ["cudaErrorStreamCaptureWrongThread"]


# -- faults --------------------------------------------------------------------------------------


def test_a_call_can_be_made_to_fail(gpu: World) -> None:
    gpu.fail("cudaMalloc", "cudaErrorMemoryAllocation", times=2)
    for _ in range(2):
        assert name(CUDA.cudaMalloc(1)) == "cudaErrorMemoryAllocation"
    ok(CUDA.cudaMalloc(1))
    assert name(CUDA.cudaGetLastError()) == "cudaErrorMemoryAllocation"
    assert name(CUDA.cudaGetLastError()) == "cudaSuccess"
    assert gpu.calls["cudaMalloc"] == 3


def test_a_broken_device_stays_broken_and_lets_nobody_wait(gpu: World, stream: int) -> None:
    gpu.pause(stream)
    gpu.enqueue(stream, lambda: None)
    seen: list[str] = []

    def wait() -> None:
        CUDA.cudaSetDevice(0)
        seen.append(name(CUDA.cudaStreamSynchronize(stream)))

    waiter = threading.Thread(target=wait)
    waiter.start()
    gpu.break_device("cudaErrorIllegalAddress")
    waiter.join(PATIENCE)
    assert seen == ["cudaErrorIllegalAddress"]
    assert name(CUDA.cudaMalloc(1)) == "cudaErrorIllegalAddress"
    assert name(CUDA.cudaGetLastError()) == name(CUDA.cudaGetLastError()) != "cudaSuccess"


@pytest.mark.parametrize(
    ("machine", "code"),
    [({"devices": 0}, "cudaErrorNoDevice"), ({"driver": 0}, "cudaErrorInsufficientDriver")],
)
def test_a_machine_without(machine: dict[str, int], code: str) -> None:
    with doubles.install(**machine):  # type: ignore[arg-type]
        answer = CUDA.cudaGetDeviceCount()
        assert (name(answer), answer[1]) == (code, None)


def test_an_operation_that_raises_is_noticed_and_the_stream_goes_on(
    gpu: World, stream: int
) -> None:
    gpu.enqueue(stream, lambda: [][0])
    ok(CUDA.cudaStreamSynchronize(stream))
    assert "IndexError" in gpu.violations[0]


def test_what_is_left_behind_fails_the_test() -> None:
    def leak() -> None:
        with doubles.install():
            ok(CUDA.cudaSetDevice(0))
            ok(CUDA.cudaMalloc(1))

    def misuse() -> None:
        with doubles.install():
            CUDA.cudaGetDevice()

    for test in (leak, misuse):
        with pytest.raises(AssertionError):
            test()


def test_threads_end_with_the_world() -> None:
    before = current()
    world = new_world()
    ok(CUDA.cudaSetDevice(0))
    stream = ok(CUDA.cudaStreamCreateWithFlags(1))
    world.pause(stream)
    world.enqueue(stream, lambda: None)
    new_world()
    assert not [each for each in threading.enumerate() if "double stream" in each.name]
    replace(before).close()


def test_what_the_product_imports_is_the_double() -> None:
    with doubles.install() as installed:
        from cuda.bindings import runtime

        assert runtime is cuda_runtime
        assert installed.violations == []
        assert models.plan(models.elementwise(lambda x: x)).startswith(models.MAGIC)
