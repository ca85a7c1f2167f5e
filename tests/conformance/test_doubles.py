"""The doubles that other tests run against offer what the genuine modules do, and nothing else."""

import enum
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

from tests.conformance.bindings import Bindings, Owner
from tests.conformance.doubles import (
    cuda_functions,
    cuda_inventions,
    inventions,
    read_base,
    read_class,
    read_module,
)
from tests.conformance.protocols import claims, complaints, only_some_names
from trtasync.backends.tensorrt.api import GENUINE_NAMES, Dims

ONLY_SOME = only_some_names(GENUINE_NAMES)

CLASSES = {
    protocol: name for protocol, name in GENUINE_NAMES.items() if name and protocol is not Dims
}
"""Not the module, which may hold helpers of its own; nor `Dims`, for which a tuple serves."""


class DoubtfulContext:
    """A double that has drifted from the genuine class."""

    engine: Any

    def __init__(self) -> None:
        self.name = "context"
        self.enqueued = 0
        self._private = 0

    @property
    def infer_shapes(self) -> list[str]:
        return []

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        return bool(name and shape)

    def execute_async_v3(self, stream: int) -> bool:
        return bool(stream)

    def profiler(self) -> None: ...

    def late(self) -> None: ...


DriftedKind = enum.IntEnum(
    "DriftedKind",
    {"cudaMemcpyHostToDevice": 1, "cudaMemcpyDeviceToHost": 3, "cudaMemcpySideways": 4},
)


def cuda_set_device(number: int) -> tuple[int]:
    return (number,)


def cuda_memcpy_async(dst: int, src: int, count: int, kind: int, stream: int) -> tuple[int]:
    return (dst + src + count + kind + stream,)


@pytest.fixture
def tensorrt_double() -> ModuleType:
    return import_module("tests.doubles.tensorrt")


@pytest.fixture
def cuda_double() -> ModuleType:
    return import_module("tests.doubles.cuda_runtime")


@pytest.fixture
def cuda_genuine() -> ModuleType:
    """Loads without a driver."""
    return import_module("cuda.bindings.runtime")


def inner(module: ModuleType, name: str) -> Any:
    """`ILogger.Severity` of a module, and the like."""
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part)
    return found


def read(module: ModuleType) -> Bindings:
    """The double, read as if it were one more version of the bindings."""
    owners: dict[str, Owner] = {"": read_module(module)}
    for protocol, name in CLASSES.items():
        is_base = any(claim.name == "__call__" for claim in claims(protocol))
        owners[name] = (read_base if is_base else read_class)(inner(module, name))
    return Bindings("double", owners)


def test_the_double_of_tensorrt_invents_nothing(
    tensorrt_double: ModuleType, genuine: tuple[Bindings, ...]
) -> None:
    double = read(tensorrt_double)
    found = [
        text
        for name in CLASSES.values()
        for bindings in genuine
        for text in inventions(name, double.owners[name], bindings, ONLY_SOME)
    ]
    assert not found, "\n".join(found)


def test_the_double_of_tensorrt_offers_all_that_we_use(tensorrt_double: ModuleType) -> None:
    double = read(tensorrt_double)
    found = [
        text
        for protocol, name in GENUINE_NAMES.items()
        if protocol is not Dims
        for text in complaints(protocol, name, double)
    ]
    assert not found, "\n".join(found)


def test_the_double_of_cuda_invents_nothing(
    cuda_double: ModuleType, cuda_genuine: ModuleType
) -> None:
    assert cuda_functions(vars(cuda_double)), "no function in the double was found"
    found = cuda_inventions(vars(cuda_double), cuda_genuine)
    assert not found, "\n".join(found)


def test_an_invention_is_found(genuine: tuple[Bindings, ...]) -> None:
    double = read_class(DoubtfulContext)
    for bindings in genuine:
        place = f"TensorRT {bindings.version}"
        assert inventions("IExecutionContext", double, bindings, {"late"}) == [
            f"IExecutionContext.enqueued: {place}: there is no such name",
            f"IExecutionContext.execute_async_v3: {place}: takes (stream_handle), "
            "and (stream) in the double",
            f"IExecutionContext.infer_shapes: {place}: is a method there, "
            "and a property in the double",
            f"IExecutionContext.profiler: {place}: is a property there, and a method in the double",
        ]


def test_an_invention_for_cuda_is_found(cuda_genuine: ModuleType) -> None:
    double = {
        "cudaMemcpyKind": DriftedKind,
        "cudaSetDevice": cuda_set_device,
        "cudaMemcpyAsync": cuda_memcpy_async,
        "cudaMemcpySoon": cuda_memcpy_async,
        "cudaEventDisableTiming": 4,
        "cudaHostAllocPortable": cuda_genuine.cudaHostAllocPortable,
        "helper": cuda_set_device,
    }
    assert cuda_inventions(double, cuda_genuine) == [
        "cudaMemcpyKind: cudaMemcpyDeviceToHost is 2, and 3 in the double, "
        "there is no cudaMemcpySideways",
        "cudaSetDevice: takes (device), and (number) in the double",
        "cudaMemcpySoon: cuda.bindings.runtime has no such name",
        "cudaEventDisableTiming: is 2, and 4 in the double",
    ]
