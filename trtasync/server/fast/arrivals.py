"""Clients of a socket that listens: those who come, however many at a time, and at the end those
who came too early to be turned away."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import islice
from socket import socket
from ssl import SSLContext

BACKLOG = 1024
"""Clients that wait to be accepted."""

AT_ONCE = 64
"""Clients that are accepted along with one whom the loop accepts; then others have their turn.

uvloop accepts one per turn, which lasts as long as all who are there already take together: the
last of N clients who come at once would wait for some N * N / 2 requests.
"""

POLLS = 2
"""Turns of a loop until whatever lay in its sockets before has been read: what the first one finds,
asyncio hands out in the second."""

Factory = Callable[[], asyncio.BaseProtocol]


@asynccontextmanager
async def accepting(
    door: socket, protocol: Factory, tls: SSLContext | None, handshake: float
) -> AsyncIterator[None]:
    """Accept clients until the end of the block, and everybody who had connected until then.

    After it, what all of them had sent by then is read: a connection that is closed with something
    unread gives its client a reset for an answer.

    Args:
        door: a socket that listens; it is closed at the end.
        protocol: is made for each client.
        tls: for TLS.
        handshake: seconds for a client to agree on that: before it is over there is no connection
            here that could be looked at.
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

    with door.dup() as spare:  # asyncio and uvloop have the other one to themselves
        spare.setblocking(False)

        def usher() -> asyncio.BaseProtocol:
            """For a client that the loop has accepted; those behind it come in as well."""
            welcome(islice(_waiting(spare), AT_ONCE))
            return protocol()

        listener = await loop.create_server(
            usher, sock=door, ssl=tls, backlog=BACKLOG, ssl_handshake_timeout=timeout
        )
        try:
            yield
            welcome(_waiting(spare))  # the kernel resets who waits at a socket that is closed
        finally:
            listener.close()
    await asyncio.gather(*coming, return_exceptions=True)  # one client's trouble is not the others'
    for _ in range(POLLS):
        await asyncio.sleep(0)


def _waiting(door: socket) -> Iterator[socket]:
    """Whoever waits to be accepted."""
    while True:
        try:
            client, _ = door.accept()
        except OSError:  # nobody more, or there are no descriptors for them
            return
        client.setblocking(False)
        yield client
