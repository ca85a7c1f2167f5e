"""Fixtures for the tests on the genuine builder: TensorRT for RTX, which needs no GPU to build."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.genuine.library import installed, is_installed
from trtasync.runtimes.flavours import RTX
from trtasync.runtimes.tensorrt.library import Library, library


@pytest.fixture
def rtx() -> Iterator[Library]:
    """The genuine TensorRT for RTX."""
    if not is_installed():
        pytest.skip("TensorRT for RTX is not there; `make test` fetches it")
    with installed():
        yield library(RTX)


@pytest.fixture
def trt(rtx: Library) -> Any:
    """Its module."""
    return rtx.trt
