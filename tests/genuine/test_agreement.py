"""The doubles of TensorRT against NVIDIA's own builder, program by program.

The builder is that of TensorRT for RTX, the only one that needs no GPU. What it does is a fact
about that, and the best hint there is at what TensorRT does.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from difflib import ndiff
from pathlib import Path

import pytest

from support import doubles
from tests.doubles.calling import CUDA, ok
from tests.genuine.programs import PROGRAMS
from tests.genuine.trial import Workshop

ROOT = Path(__file__).parents[2]

DIFFERENCES = {
    "configs.a_plan_as_a_memoryview": "no class of Python's own has a buffer whose format and "
    "itemsize contradict each other; and bytes are read-only",
    "configs.a_version_compatible_plan": "TensorRT for RTX has no lean runtime for a plan",
    "configs.plans_for_other_gpus": "TensorRT for RTX has set_compute_capability in its place",
    "configs.plans_for_this_gpu": "TensorRT for RTX has set_compute_capability in its place",
    "models.an_operator_it_has_not": "the double's parser has all operators of ONNX, but for those "
    "that a test takes away",
    "models.bfloat16": "the double computes with ONNX Runtime, whose CPU has no Relu in bfloat16",
    "models.nonsense_that_ends_a_group": "an end-group tag ends the reading of protobuf in C++, "
    "and is an error in Python",
    "models.sizes_that_depend_on_data": "TensorRT has NonZero, TensorRT for RTX not",
    "monitors.phases_to_their_ends": "left to the double: a bar that reaches its end",
    "monitors.threads_of_a_build": "TensorRT calls a monitor from several threads, and the product "
    "must bear it; TensorRT for RTX from the calling one",
}
"""Programs that end otherwise on the double, and why."""


@pytest.fixture(scope="module")
def genuine() -> dict[str, list[str]]:
    """The steps of each program on the genuine builder, until one has killed it."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.genuine.child"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    outcomes = dict(json.loads(line) for line in done.stdout.splitlines())
    assert outcomes, done.stderr
    return outcomes


@pytest.fixture(scope="module")
def workshop() -> Iterator[Workshop]:
    """The double's; rules may be broken."""
    with doubles.install(clean=False) as gpu:
        ok(CUDA.cudaSetDevice(0))
        yield Workshop(gpu.trt)


@pytest.mark.genuine_builder
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_ends_alike(name: str, genuine: dict[str, list[str]], workshop: Workshop) -> None:
    assert name in genuine, f"the genuine builder has died in {list(PROGRAMS)[len(genuine)]}"
    steps = workshop.run(PROGRAMS[name])
    if name in DIFFERENCES:
        assert steps != genuine[name], f"they agree; {name} is no difference any more"
    else:
        assert steps == genuine[name], "\n".join(ndiff(genuine[name], steps))


def test_differences_are_of_programs_that_there_are() -> None:
    assert set(DIFFERENCES) <= set(PROGRAMS)
    assert len(PROGRAMS) > 200


def test_a_double_that_drifts_is_found(
    genuine: dict[str, list[str]], workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that takes what the genuine builder refuses, and says nothing."""
    monkeypatch.setattr(
        workshop.trt.INetworkDefinition, "mark_output", lambda network, tensor: None
    )
    name = "networks.an_input_marked_as_output"
    assert workshop.run(PROGRAMS[name]) != genuine[name]
