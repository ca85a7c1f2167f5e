"""A model, and a client of its server in the same loop."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.server.serving import client_of, models_of
from trtasync.testing import ScriptedBackend


@pytest.fixture
async def backend() -> ScriptedBackend:
    """Doubles its input."""
    return ScriptedBackend(lambda x: 2 * x)


@pytest.fixture
async def client(backend: ScriptedBackend) -> AsyncIterator[httpx.AsyncClient]:
    """Of a server of that model."""
    async with client_of(models_of(backend)) as client:
        yield client
