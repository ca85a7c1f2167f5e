"""Fixtures for the tests of the command line."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support import doubles
from support.doubles import Installed
from tests.genuine.machines import GENUINE, Machine, machine_with
from tests.plans.support import VERSIONS


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where plans are kept when a test says nothing else; tables are wide."""
    folder = tmp_path / "default-cache"
    monkeypatch.setenv("TRTASYNC_CACHE_DIR", str(folder))
    monkeypatch.setenv("COLUMNS", "400")
    return folder


@pytest.fixture(params=[*VERSIONS, GENUINE])
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A machine with one GPU and a TensorRT that can build, NVIDIA's own builder among them."""
    with machine_with(request.param) as found:
        yield found


@pytest.fixture(params=VERSIONS)
def gpu(request: pytest.FixtureRequest) -> Iterator[Installed]:
    """The same with doubles only, which have knobs, and whose plans can be opened."""
    with doubles.install(version=request.param) as installed:
        yield installed
