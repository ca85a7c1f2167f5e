"""Fixtures for the tests on the genuine builder: TensorRT for RTX, which needs no GPU to build."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.doubles import models
from support.doubles.tensorrt_rtx import Made
from tests.genuine.library import installed, is_installed
from tests.rtx.support import ADA, on_a_machine, write
from tests.tensorrt.support import double
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


@pytest.fixture
def made() -> Iterator[Made]:
    """A machine with one RTX GPU, and TensorRT for RTX alone; what is made there."""
    with on_a_machine(**ADA) as found:
        yield found


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """In a folder of its own."""
    (tmp_path / "plans").mkdir()
    return write(tmp_path / "plans", models.elementwise(double))
