"""Fixtures for the tests of the doubles."""

from collections.abc import Iterator

import pytest

from support import doubles
from support.doubles.world import World
from tests.doubles.calling import CUDA, ok


@pytest.fixture
def gpu() -> Iterator[World]:
    """A machine on which this thread has chosen GPU 0; rules may be broken."""
    with doubles.install(clean=False) as installed:
        ok(CUDA.cudaSetDevice(0))
        yield installed.world


@pytest.fixture
def stream(gpu: World) -> int:
    return int(ok(CUDA.cudaStreamCreateWithFlags(1)))
