"""A folder of hosts for each test, and no host left behind."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.processes import product
from tests.shared.processes import sockets, wait_for
from trtasync.shared.places import VARIABLE


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where hosts are found. They end by themselves."""
    with tempfile.TemporaryDirectory(prefix="trtasync-") as made:  # sockets have short paths
        monkeypatch.setenv(VARIABLE, made)
        yield Path(made)
        wait_for(lambda: not sockets(Path(made)))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Eight numbers to three."""
    return product(tmp_path)
