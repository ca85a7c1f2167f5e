"""The door is for asyncio, and its loops."""

import pytest


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
