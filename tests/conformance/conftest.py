"""The genuine bindings, read once per session."""

import pytest

from tests.conformance.bindings import VERSIONS, Bindings, read


@pytest.fixture(scope="session")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bindings, ...]:
    """Both versions, the older one first."""
    return tuple(read(version, tmp_path_factory.mktemp(version)) for version in VERSIONS)
