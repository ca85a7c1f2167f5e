"""What runs here needs a GPU; elsewhere it is collected and skipped, with the reason."""

import sys
from typing import Any

import pytest

from support.gpu.hardware import enter, missing, why_not
from support.gpu.plans import double


@pytest.fixture(params=[pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio")])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """One loop: what is tested here lies below the loops, and trio is not on every GPU machine."""
    return request.param


@pytest.fixture(scope="session")
def gpu() -> None:
    """Skip without a GPU."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    enter()


@pytest.fixture
def tensorrt(gpu: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`import tensorrt` gives the double, whose kernels are real ones here."""
    module = double()
    monkeypatch.setitem(sys.modules, "tensorrt", module)  # its hooks ask no pretended machine here
    return module


@pytest.fixture(scope="session")
def torch(gpu: None) -> Any:
    """The module; skips where it is missing."""
    return _needed("torch")


@pytest.fixture(scope="session")
def cupy(gpu: None) -> Any:
    """The module; skips where it is missing."""
    return _needed("cupy")


def _needed(name: str) -> Any:
    reason = missing(name)
    if reason:
        pytest.skip(reason)
    return sys.modules[name]
