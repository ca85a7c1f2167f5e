"""A loop looks at a socket: on asyncio, uvloop and trio."""

import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from support.helpers import until
from trtasync.loops import current_loop

pytestmark = pytest.mark.anyio

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


async def test_what_comes_is_read_until_the_watch_is_closed(pair: Pair) -> None:
    ours, theirs = pair
    loop = current_loop()
    came: list[bytes] = []
    watch = loop.watch(ours, lambda: came.append(ours.recv(100)))
    theirs.send(b"one")
    await until(lambda: came == [b"one"])
    theirs.send(b"two")
    await until(lambda: came == [b"one", b"two"])
    watch.close()
    theirs.send(b"three")
    await until(lambda: _waits(ours))
    assert came == [b"one", b"two"]
    loop.close()


async def test_the_end_of_the_other_side_is_seen(pair: Pair) -> None:
    ours, theirs = pair
    loop = current_loop()
    came: list[bytes] = []

    def read() -> None:
        came.append(ours.recv(100))
        watch.close()

    watch = loop.watch(ours, read)
    theirs.close()
    await until(lambda: came == [b""])
    loop.close()


async def test_a_callback_may_close_the_watch_and_its_socket(pair: Pair) -> None:
    ours, theirs = pair
    loop = current_loop()
    came: list[bytes] = []

    def read() -> None:
        came.append(ours.recv(100))
        watch.close()
        ours.close()

    watch = loop.watch(ours, read)
    theirs.send(b"one")
    await until(lambda: came == [b"one"])
    loop.close()


async def test_what_comes_waits_while_nobody_reads(pair: Pair) -> None:
    ours, theirs = pair
    loop = current_loop()
    came: list[bytes] = []

    def read() -> None:
        came.append(ours.recv(3))
        watch.when_readable(None)

    watch = loop.watch(ours, read)
    theirs.send(b"onetwo")
    await until(lambda: came == [b"one"])
    written: list[bool] = []
    watch.when_writable(lambda: written.append(True))
    await until(lambda: len(written) > 2)  # the loop has looked at it meanwhile
    watch.when_writable(None)
    assert came == [b"one"]
    watch.when_readable(read)
    await until(lambda: came == [b"one", b"two"])
    watch.close()
    loop.close()


async def test_who_wants_to_write_is_told_when_there_is_room(pair: Pair) -> None:
    ours, theirs = pair
    loop = current_loop()
    watch = loop.watch(ours, lambda: None)
    with suppress(BlockingIOError):
        while True:
            ours.send(b"x" * 65536)
    told: list[int] = []

    def writable() -> None:
        told.append(ours.send(b"last"))
        watch.when_writable(None)

    watch.when_writable(writable)
    received = 0
    while not told:
        received += len(theirs.recv(1 << 20))
        await until(lambda: bool(told) or _waits(theirs))
    assert told == [4]
    watch.close()
    loop.close()


async def test_what_a_woken_loop_runs_may_look_at_sockets(pair: Pair) -> None:
    ours, theirs = pair
    loop = current_loop()
    came: list[bytes] = []
    watch = loop.watch(ours, lambda: came.append(b"before"))

    def look() -> None:
        watch.when_readable(lambda: came.append(ours.recv(100)))
        watch.when_writable(write)

    def write() -> None:
        watch.when_writable(None)
        theirs.send(b"one")

    loop.callback = look
    loop.wake()
    await until(lambda: came == [b"one"])
    watch.close()
    loop.close()


def _waits(end: socket.socket) -> bool:
    """There is something to be read."""
    try:
        return bool(end.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except BlockingIOError:
        return False
