"""The door is for asyncio, and its loops."""

import pytest

from tests.server.grpc.loops import BOTH
from trtasync.testing import ScriptedBackend


@pytest.fixture(params=BOTH, scope="module")
def anyio_backend(request: pytest.FixtureRequest) -> object:
    """See `tests.conftest`."""
    return request.param


@pytest.fixture
async def backend() -> ScriptedBackend:
    """Doubles its input."""
    return ScriptedBackend(lambda x: 2 * x)
