"""The door is for asyncio, and its loops. Tests say when time passes there."""

import ssl

import pytest

from tests.conftest import LOOPS
from tests.server.program.tls import certificate, trusting
from trtasync.server.fast import server


@pytest.fixture(params=[loop for loop in LOOPS if loop.id != "trio"], scope="module")
def anyio_backend(request: pytest.FixtureRequest) -> object:
    """See `tests.conftest`."""
    return request.param


@pytest.fixture(autouse=True)
def no_time_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client has its time by `Running.pass_time` alone, however slow this machine is."""
    monkeypatch.setattr(server, "TICK", 1e9)


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS of a server, and of clients that trust it."""
    cert, key = certificate(tmp_path_factory.mktemp("tls"), "localhost")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(cert, key)
    return tls, trusting(cert)
