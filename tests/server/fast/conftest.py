"""The door is for asyncio, and its loops."""

import pytest

from tests.conftest import LOOPS


@pytest.fixture(params=[loop for loop in LOOPS if loop.id != "trio"], scope="module")
def anyio_backend(request: pytest.FixtureRequest) -> object:
    """See `tests.conftest`."""
    return request.param
