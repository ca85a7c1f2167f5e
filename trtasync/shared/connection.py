"""The socket of a client: everything sent in one turn of the loop leaves in one write."""

import array
import os
import socket
from collections import deque
from collections.abc import Callable

from trtasync.loops import EventLoop
from trtasync.shared.arena import Segment
from trtasync.shared.records import Op
from trtasync.shared.records import pack as packed
from trtasync.shared.syscalls import Quick

CHUNK = 64 * 1024
"""Bytes read at once: 2000 answers."""


class Connection:
    """A stream socket to the host, driven by an event loop."""

    def __init__(
        self,
        loop: EventLoop,
        end: socket.socket,
        news: deque[Segment],
        heard: Callable[[bytes], None],
    ):
        """Start listening.

        Args:
            loop: the running one.
            end: connected, and past the greeting.
            news: memory to announce before anything else is sent.
            heard: called with what arrives, in order; b"" when the other side is gone; must not
                raise.
        """
        end.setblocking(False)
        self._end = end
        self._quick = Quick(end, CHUNK)
        self._news = news
        self._heard = heard
        self._unsent: deque[tuple[bytes, int | None]] = deque()
        self._is_closed = False
        self._watch = loop.watch(end, self._readable)

    def say(self, out: list[bytes]) -> None:
        """Send what is in `out`, and empty it."""
        while self._news:  # memory is announced before records that use it
            self._unsent.append(_announced(self._news.popleft()))
        if out:
            said = out[0] if len(out) == 1 else b"".join(out)
            out.clear()
            if not self._unsent:
                said = said[self._send(said, None) :]
            if said:
                self._unsent.append((said, None))
        if self._unsent:
            self._send_on()

    def _send_on(self) -> None:
        """Send what could not be sent yet, and files, each with the first byte of its
        announcement."""
        while self._unsent:
            said, descriptor = self._unsent[0]
            sent = self._send(said, descriptor)
            if sent < len(said):
                if sent:
                    self._unsent[0] = said[sent:], None
                self._watch.when_writable(self._send_on)
                return
            self._unsent.popleft()
        self._watch.when_writable(None)

    def _send(self, said: bytes, descriptor: int | None) -> int:
        """Return how many bytes were sent; the descriptor is closed once one was."""
        try:
            if descriptor is None:
                return self._quick.send(said)
            files = array.array("i", [descriptor])
            sent = self._end.sendmsg([said], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:  # reading will tell that the other side is gone, and why
            sent = len(said)
        if descriptor is not None:
            os.close(descriptor)
        return sent

    def _readable(self) -> None:
        try:
            data = self._quick.receive()
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        self._heard(data)

    def close(self) -> None:
        """Stop sending and receiving. May be called twice."""
        if not self._is_closed:
            self._is_closed = True
            self._watch.close()
            self.leave_to_parent()

    def leave_to_parent(self) -> None:
        """In a forked child: the loop's state is shared with its parent, only descriptors are its
        own."""
        self._is_closed = True
        self._end.close()
        while self._unsent:
            _, descriptor = self._unsent.popleft()
            if descriptor is not None:
                os.close(descriptor)


def _announced(segment: Segment) -> tuple[bytes, int]:
    record = packed(Op.MEMORY, segment.first, number=segment.slots, other=segment.slot_bytes)
    return record, segment.descriptor
