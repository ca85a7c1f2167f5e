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
from trtasync.shared.syscalls import Quick

CHUNK = 64 * 1024
"""Bytes read at once: 2000 answers."""


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
        self._quick = Quick(end, CHUNK)
        self._news = news
        self._heard = heard
        self._unsent: deque[tuple[bytes, int | None]] = deque()
        self._is_closed = False
        self._watch = loop.watch(end, self._readable)

    def say(self, out: list[bytes]) -> None:
        """Send what is in `out`, and empty it."""
        while self._news:  # memory goes before what is said in it
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
        """What could not be sent yet, and files, each with the first byte that tells of it."""
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
        """How many bytes of it have gone; the descriptor is closed once one has."""
        try:
            if descriptor is None:
                return self._quick.send(said)
            files = array.array("i", [descriptor])
            sent = self._end.sendmsg([said], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:  # reading tells that the other side is gone, and why
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
        """Say and hear nothing any more. Twice is fine."""
        if not self._is_closed:
            self._is_closed = True
            self._watch.close()
            self.leave_to_parent()

    def leave_to_parent(self) -> None:
        """In a forked child: the loop's own books are its parent's too, only files are its own."""
        self._is_closed = True
        self._end.close()
        while self._unsent:
            _, descriptor = self._unsent.popleft()
            if descriptor is not None:
                os.close(descriptor)


def _announced(segment: Segment) -> tuple[bytes, int]:
    record = packed(Op.MEMORY, segment.first, number=segment.slots, other=segment.slot_bytes)
    return record, segment.descriptor
