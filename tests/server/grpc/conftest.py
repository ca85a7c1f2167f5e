"""The door is for asyncio, and its loops."""

import pytest

from trtasync.testing import ScriptedBackend


@pytest.fixture(
    params=[
        pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
        pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"),
    ],
    scope="module",
)
def anyio_backend(request: pytest.FixtureRequest) -> object:
    """See `tests.conftest`."""
    return request.param


@pytest.fixture
async def backend() -> ScriptedBackend:
    """Doubles its input."""
    return ScriptedBackend(lambda x: 2 * x)
