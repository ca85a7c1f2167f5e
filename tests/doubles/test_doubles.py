"""Every rule of the CUDA double bites: order, memory, threads and handles."""

import numpy as np
import pytest

from support.doubles.kernels import view
from support.doubles.world import FREED, FRESH, World
from tests.doubles.calling import (
    CUDA,
    TO_DEVICE,
    TO_HOST,
    event,
    in_thread,
    name,
    ok,
    on_device,
    pinned,
)

# -- order and time ------------------------------------------------------------------------------


def test_a_copy_happens_later_and_reads_what_is_there_then(gpu: World, stream: int) -> None:
    (source, src), (target, dst) = pinned(), on_device()
    src[:] = 1
    with gpu.held():
        ok(CUDA.cudaMemcpyAsync(target, source, 16, TO_DEVICE, stream))
        assert (dst == FRESH).all()
        assert name(CUDA.cudaStreamQuery(stream)) == "cudaErrorNotReady"
        src[:] = 2
        gpu.step()
        assert (dst == 2).all()
    ok(CUDA.cudaStreamQuery(stream))


def test_a_lazy_machine_does_nothing_until_somebody_waits(gpu: World, stream: int) -> None:
    gpu.lazy = True
    ran: list[int] = []
    for number in range(4):
        gpu.enqueue(stream, lambda n=number: ran.append(n))  # type: ignore[misc]  # early binding
    assert gpu.run(2) == 2
    assert ran == [0, 1]
    ok(CUDA.cudaStreamSynchronize(stream))
    assert ran == [0, 1, 2, 3]
    gpu.enqueue(stream, lambda: ran.append(4))
    late, fired = event(), event()
    ok(CUDA.cudaEventRecord(fired, stream))
    gpu.enqueue(stream, lambda: ran.append(5))
    ok(CUDA.cudaEventRecord(late, stream))
    assert name(CUDA.cudaEventQuery(fired)) == "cudaErrorNotReady"  # and starts it
    ok(CUDA.cudaEventSynchronize(fired))
    assert ran == [0, 1, 2, 3, 4]
    assert gpu.run() == 2


def test_permits_go_in_the_order_of_enqueueing_over_all_streams(gpu: World, stream: int) -> None:
    other, ran = ok(CUDA.cudaStreamCreateWithFlags(1)), []
    with gpu.held():
        for number, each in enumerate((stream, other, other, stream)):
            gpu.enqueue(each, lambda n=number: ran.append(n))  # type: ignore[misc]  # early binding
        for _ in range(4):
            gpu.step()
        assert ran == [0, 1, 2, 3]
        with pytest.raises(AssertionError, match="only 0 operations of 1"):
            gpu.step()


def test_a_paused_stream_stands_alone(gpu: World, stream: int) -> None:
    other, ran = ok(CUDA.cudaStreamCreateWithFlags(1)), []
    gpu.pause(stream)
    gpu.enqueue(stream, lambda: ran.append("paused"))
    gpu.enqueue(stream, lambda: ran.append("resumed"))
    gpu.enqueue(other, lambda: ran.append("free"))
    ok(CUDA.cudaStreamSynchronize(other))
    assert ran == ["free"]
    gpu.step(1, stream)
    assert ran == ["free", "paused"]
    gpu.resume()
    ok(CUDA.cudaStreamSynchronize(stream))
    assert ran == ["free", "paused", "resumed"]


@pytest.mark.parametrize("lazy", [False, True])
def test_an_event_orders_streams(gpu: World, stream: int, lazy: bool) -> None:
    other, made, ran = ok(CUDA.cudaStreamCreateWithFlags(1)), event(), []
    gpu.pause(stream)
    gpu.lazy = lazy
    gpu.enqueue(stream, lambda: ran.append("first"))
    ok(CUDA.cudaEventRecord(made, stream))
    ok(CUDA.cudaStreamWaitEvent(other, made, 0))
    gpu.enqueue(other, lambda: ran.append("second"))
    assert gpu.run() == 0
    if not lazy:  # asking would start it
        assert name(CUDA.cudaEventQuery(made)) == "cudaErrorNotReady"
    gpu.resume(stream)
    ok(CUDA.cudaStreamSynchronize(other))
    assert ran == ["first", "second"]


def test_elapsed_time_is_that_of_the_kernels(gpu: World, stream: int) -> None:
    begin, end, untimed = event(), event(), event(int(CUDA.cudaEventDisableTiming))
    assert name(CUDA.cudaEventElapsedTime(begin, end)) == "cudaErrorInvalidResourceHandle"
    ok(CUDA.cudaEventRecord(begin, stream))
    gpu.enqueue(stream, lambda: None, seconds=0.25)
    for each in (end, untimed):
        ok(CUDA.cudaEventRecord(each, stream))
    ok(CUDA.cudaEventSynchronize(untimed))
    assert ok(CUDA.cudaEventElapsedTime(begin, end)) == pytest.approx(250)
    assert name(CUDA.cudaEventElapsedTime(begin, untimed)) == "cudaErrorInvalidResourceHandle"


# -- memory --------------------------------------------------------------------------------------


def test_memory_is_poisoned_aligned_and_counted(gpu: World) -> None:
    (host, first), (device, second) = pinned(100), on_device(200)
    assert (first == FRESH).all()
    assert (second == FRESH).all()
    assert host % 256 == device % 512 == 0
    assert (gpu.pinned_bytes, gpu.device_bytes) == (100, 200)
    assert gpu.leftovers() == {"allocations": 2}
    ok(CUDA.cudaFreeHost(host))
    ok(CUDA.cudaFree(device))
    assert (first == FREED).all()
    assert (gpu.pinned_bytes, gpu.device_bytes) == (0, 0)
    assert gpu.leftovers() == {}
    assert gpu.violations == []
    assert name(CUDA.cudaFree(device)) == "cudaErrorInvalidValue"
    assert len(gpu.violations) == 1


def test_a_use_after_free_is_noticed(gpu: World, stream: int) -> None:
    (source, src), (target, dst) = pinned(), on_device()
    ok(CUDA.cudaFreeHost(source))
    src[:] = 7
    ok(CUDA.cudaMemcpyAsync(target, source, 16, TO_DEVICE, stream))
    ok(CUDA.cudaStreamSynchronize(stream))
    assert (dst == FREED).all()
    assert "was freed" in gpu.violations[0]


def test_pageable_memory_and_writing_too_far_are_noticed(gpu: World, stream: int) -> None:
    (target, _), (beside, _) = on_device(), on_device()
    array = np.zeros(16, np.uint8)
    ok(CUDA.cudaMemcpyAsync(target, array.ctypes.data, 16, TO_DEVICE, stream))
    ok(CUDA.cudaMemcpyAsync(target, beside, 17, CUDA.cudaMemcpyKind.cudaMemcpyDefault, stream))
    ok(CUDA.cudaStreamSynchronize(stream))
    assert "is not allocated" in gpu.violations[0]
    assert "a copy's source" in gpu.violations[1]
    view(target, (17,), np.uint8)[16] = 0
    ok(CUDA.cudaFree(target))
    assert "wrote beside" in gpu.violations[-1]


def test_a_copy_in_the_wrong_direction_is_refused(gpu: World, stream: int) -> None:
    (source, _), (target, _) = pinned(), on_device()
    wrong = CUDA.cudaMemcpyAsync(target, source, 16, TO_HOST, stream)
    assert name(wrong) == "cudaErrorInvalidMemcpyDirection"


def test_a_batch_of_copies(gpu: World, stream: int) -> None:
    (source, src), (target, dst) = pinned(4), on_device(4)
    src[:] = [1, 2, 3, 4]
    attributes = CUDA.cudaMemcpyAttributes()
    rest = ([attributes], [0], 1, stream)
    arguments = ([target, target + 2], [source + 2, source], [2, 2], 2)
    assert name(CUDA.cudaMemcpyBatchAsync(*arguments, *rest)) == "cudaErrorInvalidValue"
    attributes.srcAccessOrder = CUDA.cudaMemcpySrcAccessOrder.cudaMemcpySrcAccessOrderStream
    ok(CUDA.cudaMemcpyBatchAsync(*arguments, *rest))
    ok(CUDA.cudaStreamSynchronize(stream))
    assert dst.tolist() == [3, 4, 1, 2]


def test_there_is_only_so_much_memory(gpu: World) -> None:
    gpu.capacity = 1000
    assert ok(CUDA.cudaMemGetInfo()) == 1000
    ok(CUDA.cudaMalloc(600))
    assert CUDA.cudaMemGetInfo()[1:] == (400, 1000)
    refused = CUDA.cudaMalloc(600)
    assert (name(refused), refused[1]) == ("cudaErrorMemoryAllocation", None)


def test_pointers_are_told_apart(gpu: World) -> None:
    kinds = CUDA.cudaMemoryType
    (host, _), (device, _) = pinned(), on_device()
    found = [ok(CUDA.cudaPointerGetAttributes(each)).type for each in (host, device + 15, 512)]
    assert found == [
        kinds.cudaMemoryTypeHost,
        kinds.cudaMemoryTypeDevice,
        kinds.cudaMemoryTypeUnregistered,
    ]


# -- threads, devices, handles -------------------------------------------------------------------


def test_a_thread_must_choose_its_device_first(gpu: World) -> None:
    in_thread(lambda: [CUDA.cudaGetDeviceCount(), CUDA.cudaDriverGetVersion()].clear())
    assert gpu.violations == []
    in_thread(lambda: ok(CUDA.cudaFree(ok(CUDA.cudaMalloc(1)))))
    assert "cudaMalloc before cudaSetDevice" in gpu.violations[0]


def test_a_stream_of_another_device_is_noticed(gpu: World, stream: int) -> None:
    gpu.devices = 2
    ok(CUDA.cudaSetDevice(1))
    ok(CUDA.cudaStreamSynchronize(stream))
    assert "than the current one" in gpu.violations[0]
    here = event()
    assert name(CUDA.cudaEventRecord(here, stream)) == "cudaErrorInvalidResourceHandle"
    assert "an event was recorded" in gpu.violations[-1]
    assert name(CUDA.cudaSetDevice(2)) == "cudaErrorInvalidDevice"


def test_a_destroyed_handle_is_noticed(gpu: World, stream: int) -> None:
    made = event()
    ok(CUDA.cudaEventDestroy(made))
    ok(CUDA.cudaStreamDestroy(stream))
    results = (
        CUDA.cudaEventQuery(made),
        CUDA.cudaStreamSynchronize(stream),
        CUDA.cudaGraphLaunch(12345, stream),
        CUDA.cudaGraphExecDestroy(12345),
    )
    assert {name(result) for result in results} == {"cudaErrorInvalidResourceHandle"}
    assert len(gpu.violations) == 4
