"""Our sources keep what `api.py` promises: `only_some` behind a `hasattr`, one door to TensorRT."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from tests.conformance.apis import ONLY_SOME
from tests.conformance.bindings import Bindings
from tests.conformance.sources import attributes_in, imports_of_tensorrt, parameters_of, unguarded

ROOT = Path(__file__).parents[2]
BACKEND = ROOT / "trtasync/runtimes/tensorrt"
BUILD = ROOT / "trtasync/plans"
CUDA = ROOT / "trtasync/runtimes/cuda"
DOOR = BACKEND
"""Where `import tensorrt` may stand."""

CALLBACKS = {
    "reallocate_output_async": ("tensor_name", "memory", "size", "alignment", "stream"),
    "notify_shape": ("tensor_name", "shape"),
}
"""What TensorRT calls on a subclass of `IOutputAllocator`; the base class itself has neither."""

MONITOR_CALLBACKS = {
    "phase_start": ("phase_name", "parent_phase", "num_steps"),
    "step_complete": ("phase_name", "step"),
    "phase_finish": ("phase_name",),
}
"""What TensorRT calls on a subclass of `IProgressMonitor`."""

GUARDED = """
if hasattr(engine, "late"):
    engine.late()
source = engine.late(name) if hasattr(engine, "late") else ""
used = ready and hasattr(engine, "late") and engine.late()
used = not hasattr(engine, "late") or engine.late()

def ask(engine):
    if not hasattr(engine, "late"):
        return None
    return engine.late()
"""

UNGUARDED = """
engine.late()
if hasattr(engine, "late"):
    self.engine.late()
else:
    engine.late()
if hasattr(engine, "other"):
    engine.late()
if ready or hasattr(engine, "late"):
    engine.late()
used = engine.late() and hasattr(engine, "late")
for engine in engines:
    if not hasattr(engine, "late"):
        skipped += 1
    engine.late()
"""


def sources_in(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def of_the_backend() -> list[Path]:
    """What is typed against the protocols."""
    return [*sources_in(BACKEND), *sources_in(BUILD)]


def test_what_only_some_have_is_reached_behind_hasattr() -> None:
    assert ONLY_SOME
    assert sources_in(BUILD), "the builder's sources were not found"
    found = {
        str(path.relative_to(ROOT)): lines
        for path in of_the_backend()
        if (lines := unguarded(path.read_text(), ONLY_SOME))
    }
    assert not found, f"not every TensorRT has these; ask hasattr of the same object first: {found}"


def test_a_guarded_use_passes() -> None:
    assert unguarded(GUARDED, {"late"}) == []


def test_an_unguarded_use_is_found() -> None:
    lines = [2, 4, 6, 8, 10, 11, 15]
    numbers = [
        int(each.split(":")[0].removeprefix("line ")) for each in unguarded(UNGUARDED, {"late"})
    ]
    assert sorted(numbers) == lines
    assert "line 4: self.engine.late" in unguarded(UNGUARDED, {"late"})


def test_only_the_backend_imports_tensorrt() -> None:
    found = {
        str(path.relative_to(ROOT)): lines
        for path in sources_in(ROOT / "trtasync")
        if not path.is_relative_to(DOOR) and (lines := imports_of_tensorrt(path.read_text()))
    }
    assert not found, f"TensorRT is untyped; go through {DOOR.relative_to(ROOT)}: {found}"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import tensorrt as trt", ["line 1: tensorrt"]),
        ("import os, tensorrt_lean", ["line 1: tensorrt_lean"]),
        ("from tensorrt_bindings.tensorrt import ILogger", ["line 1: tensorrt_bindings.tensorrt"]),
        ("x = importlib.import_module('tensorrt')", ["line 1: tensorrt"]),
        ("from trtasync.runtimes.tensorrt import api", []),
        ("from . import tensorrt", []),
    ],
)
def test_an_import_of_tensorrt_is_found(source: str, found: list[str]) -> None:
    assert imports_of_tensorrt(source) == found


def test_the_callbacks_are_as_the_bindings_describe_them(
    every_genuine: tuple[Bindings, ...],
) -> None:
    """Only the docstring of the base class tells their parameters."""
    for bindings in every_genuine:
        doc = bindings.owners["IOutputAllocator"].doc
        told = dict(re.findall(r"def (\w+)\(self, (.*)\):", doc))
        for name, parameters in CALLBACKS.items():
            assert told[name] == ", ".join(parameters), f"{name} in TensorRT {bindings.version}"


def test_the_monitors_callbacks_are_those_of_the_bindings(
    every_genuine: tuple[Bindings, ...],
) -> None:
    for bindings in every_genuine:
        methods = bindings.owners["IProgressMonitor"].members
        assert set(methods) == set(MONITOR_CALLBACKS)
        for name, parameters in MONITOR_CALLBACKS.items():
            (taken,) = methods[name].overloads
            place = f"{name} in TensorRT {bindings.version}"
            assert tuple(each.name for each in taken) == parameters, place


def test_our_callbacks_take_what_tensorrt_passes() -> None:
    wanted = CALLBACKS | MONITOR_CALLBACKS
    found = {
        (name, parameters)
        for path in of_the_backend()
        for name, parameters in parameters_of(path.read_text(), wanted)
    }
    assert found == set(wanted.items())


def test_every_name_of_cuda_that_we_use_exists() -> None:
    """`cuda.bindings` is untyped, so mypy says nothing of a misspelt name."""
    assert sources_in(CUDA), "the sources that use CUDA were not found"
    runtime = import_module("cuda.bindings.runtime")
    known = set(dir(runtime))
    for name in dir(runtime):
        if isinstance(value := getattr(runtime, name), type):
            known |= set(dir(value))
    unknown = {
        str(path.relative_to(ROOT)): sorted(names)
        for path in sources_in(CUDA)
        if (names := attributes_in(path.read_text(), "cuda") - known)
    }
    assert not unknown, f"cuda.bindings.runtime has no such names: {unknown}"


def test_names_after_a_dot_are_found() -> None:
    source = "runtime.cudaMalloc(cudaFree, kinds.cudaMemcpyHostToDevice, other.name)"
    assert attributes_in(source, "cuda") == {"cudaMalloc", "cudaMemcpyHostToDevice"}
