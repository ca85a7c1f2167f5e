"""Fixtures for the tests on the genuine builder: TensorRT for RTX, which needs no GPU to build."""

from typing import Any

import pytest

from trtasync.runtimes.flavours import RTX
from trtasync.runtimes.tensorrt.library import Library, library


@pytest.fixture(scope="session")
def rtx() -> Library:
    """The genuine TensorRT for RTX."""
    pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed")
    return library(RTX)


@pytest.fixture
def trt(rtx: Library) -> Any:
    """Its module."""
    return rtx.trt
