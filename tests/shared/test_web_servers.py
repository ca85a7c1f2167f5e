"""A web service of several worker processes, with genuine servers and a genuine HTTP client."""

import os
import signal
import socket
from collections import Counter
from pathlib import Path

import anyio
import pytest

from examples.fastapi_workers import ask, serving
from tests.shared.processes import is_there, sockets, wait_for
from trtasync.shared import figures

RIGHT = 54
"""Lines of 64 that the model reads without an error."""


def listens(address: str) -> bool:
    """The example's clients wait for a minute at most until it does."""
    host, _, port = address.removeprefix("http://").partition(":")
    with socket.socket() as end:
        return not end.connect_ex((host, int(port)))


@pytest.mark.parametrize(
    ("server", "package"), [("uvicorn", "uvicorn"), ("gunicorn", "uvicorn_worker")]
)
def test_workers_share_an_engine_and_outlive_it(folder: Path, server: str, package: str) -> None:
    pytest.importorskip(package)
    answered, engines = Counter[int](), set[int]()
    with serving(server) as address:
        wait_for(lambda: listens(address))

        def several_have_answered() -> bool:
            right, workers, found = anyio.run(ask, address)
            assert right == RIGHT
            answered.update(workers)
            engines.update(found)
            return len(answered) > 1

        wait_for(several_have_answered)  # one of them may take all connections that come at once
        (engine,) = engines
        assert engine not in answered
        (told,) = figures.ask(*sockets(folder))["models"].values()
        assert told["answered"] == answered.total()
        os.kill(engine, signal.SIGKILL)
        wait_for(lambda: anyio.run(ask, address)[0] == RIGHT)
        _, _, after = anyio.run(ask, address)
        (other,) = after
        assert other != engine
        assert all(map(is_there, answered))
    os.kill(other, signal.SIGTERM)
    wait_for(lambda: not is_there(other))
