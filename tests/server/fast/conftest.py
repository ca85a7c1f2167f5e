"""The door is for asyncio, and its loops. Tests say when time passes there."""

import pytest

from tests.conftest import LOOPS
from trtasync.server.fast import server


@pytest.fixture(params=[loop for loop in LOOPS if loop.id != "trio"], scope="module")
def anyio_backend(request: pytest.FixtureRequest) -> object:
    """See `tests.conftest`."""
    return request.param


@pytest.fixture(autouse=True)
def no_time_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client has its time by `Running.pass_time` alone, however slow this machine is."""
    monkeypatch.setattr(server, "TICK", 1e9)
