"""The genuine bindings, read once per session."""

import pytest

from tests.conformance.bindings import VERSIONS, Bindings, read, read_rtx


@pytest.fixture(scope="session")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bindings, ...]:
    """Both versions of TensorRT, the older one first."""
    return tuple(read(version, tmp_path_factory.mktemp(version)) for version in VERSIONS)


@pytest.fixture(scope="session")
def every_genuine(genuine: tuple[Bindings, ...]) -> tuple[Bindings, ...]:
    """These, and TensorRT for RTX."""
    return (*genuine, read_rtx())
