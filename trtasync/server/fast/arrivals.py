"""Clients of a socket that listens: those who come, and at the end those who came too early to be
turned away."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from socket import socket
from ssl import SSLContext

BACKLOG = 1024
"""Clients that wait to be accepted."""

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
    with door.dup() as spare:  # asyncio and uvloop have the other one to themselves
        spare.setblocking(False)
        listener = await loop.create_server(
            protocol, sock=door, ssl=tls, backlog=BACKLOG, ssl_handshake_timeout=timeout
        )
        try:
            yield
            late = _waiting(spare)  # the kernel resets who waits at a socket that is closed
        finally:
            listener.close()
    coming = [
        loop.connect_accepted_socket(protocol, each, ssl=tls, ssl_handshake_timeout=timeout)
        for each in late
    ]
    await asyncio.gather(*coming, return_exceptions=True)  # some have left, or speak no TLS
    for _ in range(POLLS):
        await asyncio.sleep(0)


def _waiting(door: socket) -> list[socket]:
    """Whoever waits to be accepted."""
    found: list[socket] = []
    while True:
        try:
            client, _ = door.accept()
        except OSError:  # nobody more, or there are no descriptors for them
            return found
        client.setblocking(False)
        found.append(client)
