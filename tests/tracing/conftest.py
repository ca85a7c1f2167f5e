"""Spans that are recorded, and a model that makes them."""

from collections.abc import Iterator

import pytest

from tests.tracing.collecting import Spans
from trtasync.testing import ScriptedBackend


@pytest.fixture
def spans() -> Iterator[Spans]:
    """Of a provider that records everything."""
    spans = Spans()
    yield spans
    spans.provider.shutdown()


@pytest.fixture
def backend() -> ScriptedBackend:
    """Doubles its input; a negative number is bad."""
    backend = ScriptedBackend(lambda x: 2 * x)
    backend.bad = lambda row: row[0] < 0
    return backend
