"""The calls of the hot path go to the driver's own functions, found through the runtime."""

import ctypes
from collections import Counter
from typing import Any

import pytest

from support import doubles
from support.doubles import cuda_runtime
from trtasync.runtimes.cuda import find_device
from trtasync.runtimes.cuda.fast import fast_calls

PRIMARY = {0: 0xAAA0, 1: 0xBBB0}
"""Contexts of the pretended driver."""


class Driver:
    """C functions that stand for the driver's, behind the double of the runtime.

    Attributes:
        calls: function and arguments, in order.
        current: the calling thread's context.
        asked: function -> the CUDA version whose variant was asked for.
    """

    def __init__(self, missing: tuple[str, ...] = ()):
        self.calls: list[tuple[Any, ...]] = []
        self.counts: Counter[str] = Counter()
        self.asked: dict[str, int] = {}
        self.current = 0
        self._missing = missing
        self._kept: dict[str, Any] = {}
        pointer, size = ctypes.c_void_p, ctypes.c_size_t
        self._provide("cuGraphLaunch", pointer, pointer)
        self._provide("cuEventRecord", pointer, pointer)
        self._provide("cuEventQuery", pointer)
        self._provide("cuMemcpyHtoDAsync", pointer, pointer, size, pointer)
        self._provide("cuMemcpyDtoHAsync", pointer, pointer, size, pointer)
        self._provide("cuCtxSetCurrent", pointer)
        column = ctypes.POINTER(ctypes.c_uint64)
        kinds: Any = (
            *[column] * 3,
            size,
            ctypes.POINTER(ctypes.c_int),
            pointer,
            size,
            pointer,
            pointer,
        )
        self._kept["cuMemcpyBatchAsync"] = ctypes.CFUNCTYPE(ctypes.c_int, *kinds)(self._batch)
        ask = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(pointer))
        self._kept["cuCtxGetCurrent"] = ask(self._tell)

    def _provide(self, name: str, *kinds: Any) -> None:
        def called(*arguments: Any) -> int:
            self.calls.append((name, *arguments))
            if name == "cuCtxSetCurrent":
                self.current = arguments[0]
            return 0

        self._kept[name] = ctypes.CFUNCTYPE(ctypes.c_int, *kinds)(called)

    def _batch(self, *arguments: Any) -> int:
        *columns, count, order, first, attributes, failed, stream = arguments
        assert ctypes.c_size_t.from_address(first).value == 0
        assert (attributes, order[0]) == (1, 1)  # one for all: read in stream order
        assert failed
        self.calls.append(("cuMemcpyBatchAsync", *(list(c[:count]) for c in columns), stream))
        return 0

    def _tell(self, where: Any) -> int:
        where[0] = self.current
        return 0

    def __getattr__(self, name: str) -> Any:
        return getattr(cuda_runtime, name)

    def cudaSetDevice(self, device: int) -> Any:  # noqa: N802 - the genuine name
        self.counts["cudaSetDevice"] += 1
        self.current = PRIMARY[device]
        return cuda_runtime.cudaSetDevice(device)

    def cudaGetDriverEntryPointByVersion(  # noqa: N802 - the genuine name
        self, symbol: bytes, version: int, flags: int
    ) -> tuple[Any, ...]:
        name = symbol.decode()
        self.asked[name] = version
        if name in self._missing:
            return 0, None, 1
        return 0, ctypes.cast(self._kept[name], ctypes.c_void_p).value, 0


def test_a_device_is_made_current_by_the_driver_with_the_gil_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    driver = Driver()
    monkeypatch.setattr("trtasync.runtimes.cuda.device.runtime", lambda: driver)
    with doubles.install(devices=2):
        first, second = find_device(0), find_device(1)
        before = driver.counts["cudaSetDevice"]
        for device, context in ((first, 0xAAA0), (second, 0xBBB0), (first, 0xAAA0)):
            device.enter_again()
            assert driver.current == context
        assert driver.counts["cudaSetDevice"] == before
        assert [call[0] for call in driver.calls] == ["cuCtxSetCurrent"] * 3


def test_alone_on_a_machine_it_is_made_current_once(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver()
    monkeypatch.setattr("trtasync.runtimes.cuda.device.runtime", lambda: driver)
    with doubles.install(devices=1):
        device = find_device(0)
        for _ in range(3):
            device.enter_again()
    assert driver.counts["cudaSetDevice"] == 1
    assert driver.calls == []


@pytest.mark.parametrize("missing", ["cuCtxSetCurrent", "cuCtxGetCurrent"])
def test_without_the_drivers_function_the_runtime_makes_it_current(missing: str) -> None:
    driver = Driver((missing,))
    with doubles.install(devices=2):
        driver.cudaSetDevice(0)
        calls = fast_calls(driver, 1)
        assert calls.keeps_gil
        assert calls.enter() == 0
        assert driver.current == PRIMARY[1]


def test_handles_and_sizes_reach_the_driver_whole() -> None:
    driver, large = Driver(), 0x7F12_3456_789A
    with doubles.install():
        driver.cudaSetDevice(0)
        calls = fast_calls(driver, 0)
    assert calls.graph_launch(large, 1) == 0
    assert calls.event_record(2, large) == 0
    assert calls.event_query(large) == 0
    assert calls.copy_in(large, large + 1, 5 << 30, 3) == 0
    assert calls.copy_out(large + 1, large, 6 << 30, 3) == 0
    assert driver.calls == [
        ("cuGraphLaunch", large, 1),
        ("cuEventRecord", 2, large),
        ("cuEventQuery", large),
        ("cuMemcpyHtoDAsync", large, large + 1, 5 << 30, 3),
        ("cuMemcpyDtoHAsync", large + 1, large, 6 << 30, 3),
    ]


def test_many_copies_are_one_call_of_the_variant_that_came_with_cuda_12_8() -> None:
    driver, large = Driver(), 0x7F12_3456_789A
    with doubles.install():
        driver.cudaSetDevice(0)
        calls = fast_calls(driver, 0)
    assert calls.copy_batch is not None
    targets, sources, sizes = [large + n for n in range(5)], [2 * large] * 5, [5 << 30, 1, 2, 3, 4]
    assert calls.copy_batch(targets, sources, sizes, large) == 0
    assert driver.calls == [("cuMemcpyBatchAsync", targets, sources, sizes, large)]
    assert driver.asked["cuMemcpyBatchAsync"] == 12080


def test_without_the_drivers_batched_copy_the_runtime_copies() -> None:
    driver = Driver(("cuMemcpyBatchAsync",))
    with doubles.install() as gpu:
        driver.cudaSetDevice(0)
        calls = fast_calls(driver, 0)
        assert calls.keeps_gil
        assert calls.copy_batch is not None
        _, stream = cuda_runtime.cudaStreamCreateWithFlags(1)
        assert calls.copy_batch([], [], [], int(stream)) == 0
        assert gpu.world.calls["cudaMemcpyBatchAsync"] == 1
        cuda_runtime.cudaStreamDestroy(stream)
