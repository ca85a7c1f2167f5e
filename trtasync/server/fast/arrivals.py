"""Accepting the clients of a listening socket, many per turn; at the end also all of those that
have connected already."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import islice
from socket import socket
from ssl import SSLContext

BACKLOG = 1024
"""Most clients that may wait to be accepted."""

AT_ONCE = 64
"""Clients that are accepted along with one that the loop accepts, before others get their turn.

uvloop accepts one per turn, and a turn serves all clients that are there already: the last of N
clients that come at once would wait for some N * N / 2 requests.
"""

POLLS = 2
"""Turns of a loop until all that lay in its sockets has been read: what asyncio finds in the first,
it hands out in the second."""

Factory = Callable[[], asyncio.BaseProtocol]


@asynccontextmanager
async def accepting(
    door: socket, protocol: Factory, tls: SSLContext | None, handshake: float
) -> AsyncIterator[None]:
    """Accept clients until the end of the block, and all that have connected by then.

    On leaving, what all of them had sent by then has been read: a connection that is closed with
    something unread gives its client a reset for an answer.

    Args:
        door: a listening socket; it is closed at the end.
        protocol: makes the protocol of each client.
        tls: for TLS; None for plain TCP.
        handshake: seconds for a TLS handshake. Until it is over there is no protocol that could
            enforce a limit.
    """
    loop = asyncio.get_running_loop()
    timeout = None if tls is None else handshake
    coming: set[asyncio.Task[None]] = set()

    async def connect(client: socket) -> None:
        with suppress(OSError):  # it has left, or speaks no TLS
            await loop.connect_accepted_socket(
                protocol, client, ssl=tls, ssl_handshake_timeout=timeout
            )

    def welcome(clients: Iterable[socket]) -> None:
        for client in clients:
            task = loop.create_task(connect(client))
            coming.add(task)
            task.add_done_callback(coming.discard)

    with door.dup() as spare:  # asyncio and uvloop need the original for themselves
        spare.setblocking(False)

        def usher() -> asyncio.BaseProtocol:
            """Make the protocol of a client that the loop has accepted; accept more behind it."""
            welcome(islice(_waiting(spare), AT_ONCE))
            return protocol()

        listener = await loop.create_server(
            usher, sock=door, ssl=tls, backlog=BACKLOG, ssl_handshake_timeout=timeout
        )
        try:
            yield
            welcome(_waiting(spare))  # the kernel resets clients that wait when the socket closes
        finally:
            listener.close()
    await asyncio.gather(*coming, return_exceptions=True)  # one failure must not stop the others
    for _ in range(POLLS):
        await asyncio.sleep(0)


def _waiting(door: socket) -> Iterator[socket]:
    """Accept the clients that wait."""
    while True:
        try:
            client, _ = door.accept()
        except OSError:  # no more clients, or no file descriptors for them
            return
        client.setblocking(False)
        yield client
