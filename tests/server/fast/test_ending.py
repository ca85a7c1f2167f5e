"""The end of a server: what has reached this machine by then is answered."""

import socket
from contextlib import ExitStack

import numpy as np
import pytest

from support.helpers import PATIENCE, rows
from tests.server.fast.clients import infer, running
from tests.server.serving import models_of
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

CLIENTS = 50


def connect(port: int) -> socket.socket:
    """As the kernel has it: the server need not have noticed yet."""
    return socket.create_connection(("127.0.0.1", port), PATIENCE)


def is_answered(client: socket.socket) -> bool:
    """Rightly, and then nothing more comes."""
    said = b""
    while more := client.recv(1 << 16):
        said += more
    assert b"\r\nconnection: close\r\n" in said
    return said.startswith(b"HTTP/1.1 200 ")


async def test_who_was_not_accepted_yet_is_answered() -> None:
    with ExitStack() as clients:
        async with running(models_of(ScriptedBackend(np.negative))) as server:
            asked = [clients.enter_context(connect(server.port)) for _ in range(CLIENTS)]
            for value, client in enumerate(asked):
                client.sendall(infer(rows([value])))
            # no turn of the loop comes before the end
        assert all(map(is_answered, asked))


async def test_a_request_that_was_not_read_yet_is_answered() -> None:
    with ExitStack() as clients:
        async with running(models_of(ScriptedBackend(np.negative))) as server:
            asked = [clients.enter_context(connect(server.port)) for _ in range(CLIENTS)]
            await server.connections(CLIENTS)  # they are accepted, and idle
            for value, client in enumerate(asked):
                client.sendall(infer(rows([value])))
        assert all(map(is_answered, asked))
        with pytest.raises(ConnectionError):
            connect(server.port)
