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
from tests.genuine.differences import ALIKE, DIFFERENCES, apart
from tests.genuine.programs import PROGRAMS
from tests.genuine.trial import Workshop

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def genuine() -> dict[str, list[str]]:
    """The steps of each program on the genuine builder, until one has killed it."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.genuine.child"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
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


def drift(name: str, genuine: dict[str, list[str]], workshop: Workshop) -> str:
    """How a program ends on the two, where that is not what is known; "" where it is."""
    steps, known = workshop.run(PROGRAMS[name]), DIFFERENCES.get(name, ALIKE)
    if apart(genuine[name], steps) == (known.genuine, known.double):
        return ""
    return "\n".join((f"expected: {known}", *ndiff(genuine[name], steps)))


@pytest.mark.genuine_builder
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_ends_alike(name: str, genuine: dict[str, list[str]], workshop: Workshop) -> None:
    """Or as far apart as is known, step by step."""
    assert name in genuine, f"the genuine builder has died in {list(PROGRAMS)[len(genuine)]}"
    assert not drift(name, genuine, workshop)


def test_differences_are_of_programs_that_there_are() -> None:
    assert set(DIFFERENCES) <= set(PROGRAMS)
    assert len(PROGRAMS) > 200


@pytest.mark.parametrize(
    "name", ["networks.an_input_marked_as_output", "monitors.threads_of_a_build"]
)
def test_a_double_that_drifts_is_found(
    genuine: dict[str, list[str]],
    workshop: Workshop,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """One that takes whatever is marked and says nothing, in a program that ends otherwise too."""
    monkeypatch.setattr(
        workshop.trt.INetworkDefinition, "mark_output", lambda network, tensor: None
    )
    assert drift(name, genuine, workshop)
