"""Many clients who come at once: none waits for all of them, be it outside or inside."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import SocketStream
from anyio.streams.tls import TLSStream

from support.helpers import PATIENCE
from tests.server.fast.clients import Client, request, running
from tests.server.serving import models_of
from trtasync.server.fast.arrivals import AT_ONCE
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

CROWD = 3 * AT_ONCE
FEW = CROWD // 10


@contextmanager
def connected(port: int, count: int) -> Iterator[list[socket.socket]]:
    """Clients, all before the loop has another turn."""
    with ExitStack() as clients:
        yield [
            clients.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE))
            for _ in range(count)
        ]


async def groups() -> list[int]:
    """A crowd comes: how many of it are let in together, in one turn of the loop."""
    async with running(models_of(ScriptedBackend())) as server:
        inside = server.server.connections
        counts = [0]
        with connected(server.port, CROWD), anyio.fail_after(PATIENCE):
            while counts[-1] < CROWD:
                await anyio.lowlevel.checkpoint()
                counts.append(len(inside))
    return [after - before for before, after in pairwise(counts) if after > before]


async def test_a_crowd_is_accepted_within_a_few_turns() -> None:
    assert len(await groups()) <= FEW


@pytest.mark.parametrize("anyio_backend", [("asyncio", {"use_uvloop": True})], ids=["uvloop"])
async def test_a_crowd_is_not_accepted_in_one_turn() -> None:
    assert max(await groups()) <= AT_ONCE + 1


async def test_a_crowd_with_tls_is_answered(
    certified: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    tls, trusting = certified
    async with running(models_of(ScriptedBackend()), tls=tls) as server:
        with connected(server.port, 3) as crowd, anyio.fail_after(PATIENCE):
            for each in crowd:
                stream = await SocketStream.from_socket(each)
                async with await TLSStream.wrap(
                    stream, hostname="localhost", ssl_context=trusting
                ) as secured:
                    live = await Client(secured).ask(request(path="/v2/health/live"))
                    assert live.status == 200
