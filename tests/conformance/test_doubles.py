"""The doubles that other tests run against offer what the genuine modules do, and nothing else."""

import enum
import inspect
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

from support import doubles
from tests.conformance.apis import GENUINE_NAMES
from tests.conformance.bindings import VERSIONS, Bindings, Owner
from tests.conformance.doubles import (
    cuda_functions,
    cuda_inventions,
    inventions,
    read_base,
    read_class,
    read_module,
)
from tests.conformance.protocols import CONSTRUCTED, claims, complaints
from trtasync.runtimes.tensorrt.api import Dims

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
def cuda_double() -> ModuleType:
    return import_module("support.doubles.cuda_runtime")


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


def classes_of(module: ModuleType) -> set[str]:
    """Names of its public classes, and of those in our lists that it has."""
    listed = {name for name in CLASSES.values() if hasattr(module, name.split(".")[0])}
    public = {name for name, value in vars(module).items() if inspect.isclass(value)}
    return listed | {name for name in public if not name.startswith("_")}


def read(module: ModuleType) -> Bindings:
    """The double, read as if it were one more version of the bindings."""
    bases = {name for protocol, name in CLASSES.items() if is_base(protocol)}
    owners: dict[str, Owner] = {"": read_module(module)}
    for name in classes_of(module):
        owners[name] = (read_base if name in bases else read_class)(inner(module, name))
    return Bindings("double", owners)


def is_base(protocol: type) -> bool:
    return any(claim.name == CONSTRUCTED for claim in claims(protocol))


def version_of(name: str, genuine: tuple[Bindings, ...]) -> Bindings:
    """The bindings that a surface stands for; the lean runtime's are 11.4's with less."""
    version = doubles.surface(name).__version__
    return next(bindings for bindings in genuine if bindings.version == version)


@pytest.mark.parametrize("name", doubles.SURFACES)
def test_a_double_of_tensorrt_invents_nothing(name: str, genuine: tuple[Bindings, ...]) -> None:
    """It stands for one version, so it has nothing that others only have."""
    double, bindings = read(doubles.surface(name)), version_of(name, genuine)
    unknown = sorted(set(double.owners) - set(bindings.owners))
    assert not unknown, f"TensorRT {bindings.version} has no {unknown}"
    found = [
        text
        for owner, members in double.owners.items()
        for text in inventions(owner, members, bindings, only_some=())
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", VERSIONS)
def test_a_double_of_tensorrt_offers_all_that_we_use(
    name: str, genuine: tuple[Bindings, ...]
) -> None:
    """Also what only some versions have, if this is one of them."""
    double, bindings = read(doubles.surface(name)), version_of(name, genuine)
    found = [
        text
        for protocol, owner in GENUINE_NAMES.items()
        if protocol is not Dims
        for text in complaints(protocol, owner, double)
    ]
    missing = [
        f"{owner}.{claim.name}"
        for protocol, owner in GENUINE_NAMES.items()
        for claim in claims(protocol)
        if not claim.everywhere and claim.name in bindings.owners[owner].members
        if claim.name not in double.owners[owner].members
    ]
    assert not found + missing, "\n".join(found + missing)


def test_the_doubles_of_the_versions_differ_as_the_versions_do(
    genuine: tuple[Bindings, ...],
) -> None:
    """The numbers of enums too: a flag's bit of one version is another flag's of the other."""
    for bindings in genuine:
        module = doubles.surface(bindings.version)
        for name in sorted(classes_of(module)):
            owner = inner(module, name)
            if issubclass(owner, enum.Enum):
                theirs = {k: m.number for k, m in bindings.owners[name].members.items()}
                ours = {k: int(v.value) for k, v in owner.__members__.items()}
                assert ours == {k: theirs[k] for k in ours}, f"{name} of {bindings.version}"


def test_rtx_has_the_numbers_of_tensorrt(every_genuine: tuple[Bindings, ...]) -> None:
    """So its builder may stand for TensorRT's where the doubles are held against it."""
    *_, new, rtx = every_genuine
    for name in sorted(classes_of(doubles.surface(new.version))):
        ours, theirs = (
            {key: member.number for key, member in each.owners[name].members.items()}
            for each in (new, rtx)
        )
        assert ours | theirs == theirs | ours, name


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
