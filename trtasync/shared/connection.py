"""The socket of a client: what is said in a turn of the loop leaves in one write."""

import array
import os
import socket
from collections import deque
from collections.abc import Callable

from trtasync.loops import EventLoop
from trtasync.shared.arena import Segment
from trtasync.shared.records import Op
from trtasync.shared.records import pack as packed

CHUNK = 64 * 1024
"""Bytes read at once: 2000 answers."""

MOST_DESCRIPTORS = 64
"""Files that go along with one write; the system takes 253."""


class Connection:
    """A stream socket to the host, in the hands of an event loop."""

    def __init__(
        self,
        loop: EventLoop,
        end: socket.socket,
        news: deque[Segment],
        heard: Callable[[bytes], None],
    ):
        """Begin to listen.

        Args:
            loop: the running one.
            end: connected, and past the greeting.
            news: memory that is announced before anything else is said.
            heard: told what came, in order; b"" when the other side is gone. It raises nothing.
        """
        end.setblocking(False)
        self._end = end
        self._news = news
        self._heard = heard
        self._unsent = b""
        self._descriptors: list[int] = []
        self._is_closed = False
        self._watch = loop.watch(end, self._readable)

    def say(self, out: list[bytes]) -> None:
        """Send what is in `out`, and empty it."""
        while self._news:
            self._announce(self._news.popleft())
        if self._unsent:
            out.insert(0, self._unsent)
            self._unsent = b""
        if out:
            said = out[0] if len(out) == 1 else b"".join(out)
            out.clear()
            self._send(said)

    def _announce(self, segment: Segment) -> None:
        """Memory goes before what is said in it."""
        self._descriptors.append(segment.descriptor)
        self._unsent += packed(
            Op.MEMORY, segment.first, number=segment.slots, other=segment.slot_bytes
        )

    def _send(self, said: bytes) -> None:
        try:
            sent = self._send_along(said) if self._descriptors else self._end.send(said)
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # reading tells that the other side is gone, and why
        if sent < len(said):
            self._unsent = said[sent:]
            self._watch.when_writable(self._writable)

    def _send_along(self, said: bytes) -> int:
        """Descriptors arrive with the first byte of what they are sent with."""
        some = self._descriptors[:MOST_DESCRIPTORS]
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", some))]
        left = len(self._descriptors) > len(some)
        sent = self._end.sendmsg([said[:1] if left else said], control)
        for descriptor in some:
            os.close(descriptor)
        del self._descriptors[: len(some)]
        return sent

    def _writable(self) -> None:
        self._watch.when_writable(None)
        said, self._unsent = self._unsent, b""
        if said:
            self._send(said)

    def _readable(self) -> None:
        try:
            data = self._end.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._heard(data)

    def close(self) -> None:
        """Say and hear nothing any more. Twice is fine."""
        if not self._is_closed:
            self._is_closed = True
            self._watch.close()
            self.leave_to_parent()

    def leave_to_parent(self) -> None:
        """In a forked child: the loop's own books are its parent's too, only files are its own."""
        self._is_closed = True
        self._end.close()
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors.clear()
