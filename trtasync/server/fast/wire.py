"""The way back to one client: what is written, whether it reads, and how it is sent away."""

from asyncio import Transport
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from trtasync.server.failures import failure_of
from trtasync.server.fast.heads import Head
from trtasync.server.fast.writing import head_of_failure
from trtasync.server.protocol.tensors import Bytes

if TYPE_CHECKING:
    from trtasync.server.fast.server import FastServer

JOINED = 64 << 10
"""Bytes of an answer up to which it is joined to its head, to leave in one piece."""


class Wire:
    """See the module's docstring.

    Attributes:
        is_blocked: the client does not read, or not as fast as it is answered.
        is_ending: nothing of it is looked at any more.
        since: when the client or the server began to do what it does, in ticks of the server.
    """

    def __init__(self, server: "FastServer", transport: Transport):
        """Open."""
        self.is_blocked: bool = False
        self.is_ending: bool = False
        self.since: int = server.tick
        self._server = server
        self._transport = transport
        self._owed = 0  # bytes, when the client ceased to read

    @property
    def scheme(self) -> str:
        """Of its URLs."""
        return "http" if self.about("sslcontext") is None else "https"

    def about(self, name: str) -> Any:
        """What asyncio knows of it; see `asyncio.BaseTransport.get_extra_info`."""
        return self._transport.get_extra_info(name)

    def block(self) -> None:
        """The client reads slower than it is answered."""
        self.is_blocked = True
        self._owed = self.unread
        self.began()

    def unblock(self) -> None:
        """It has caught up."""
        self.is_blocked = False
        self._owed = 0
        self.began()

    def began(self) -> None:
        """It does something else now."""
        self.since = self._server.tick

    def keeps(self, wanted: bool) -> bool:
        """The connection goes on after this answer, if that is wanted."""
        return wanted and not self._server.is_draining

    def last_lines(self, head: Head | None, keeps: bool) -> bytes:
        """What ends the head of an answer to `head`, with the empty line."""
        if not keeps:
            return self._server.date + b"connection: close\r\n\r\n"
        if head is not None and head.version == "1.0":
            return self._server.date + b"connection: keep-alive\r\n\r\n"
        return self._server.date + b"\r\n"

    def answer(self, head: Head, lines: bytes, parts: Sequence[Bytes], size: int) -> None:
        """Write a whole answer.

        Args:
            head: of the request.
            lines: the head of the answer, without what `last_lines` adds.
            parts: its body.
            size: bytes of that.
        """
        keeps = self.keeps(head.keeps)
        lines += self.last_lines(head, keeps)
        if size <= JOINED:
            self.write(b"".join((lines, *parts)))
        else:
            self.write(lines)
            for part in parts:
                self.write(part)
        self.ended_answer(keeps)

    def write(self, content: Bytes) -> None:
        """Write some of an answer, unless nobody is there to read it."""
        if not self.is_ending:
            self._transport.write(content)

    def ended_answer(self, keeps: bool) -> None:
        """An answer is out; `keeps`: the next request may come."""
        self.since = self._server.tick
        if not keeps:
            self.close()

    def fail(self, head: Head, error: BaseException) -> None:
        """Answer a request, of whose body nothing is to come any more, with an error."""
        failure = failure_of(error)
        self.answer(head, head_of_failure(failure), [failure.body], len(failure.body))

    def send_away(self, error: BaseException) -> None:
        """Answer with an error, and end the connection: nobody knows where its next request begins.

        Closed at once, with something unread, the client would get a reset, and perhaps no answer;
        so it may take notice first.
        """
        failure = failure_of(error)
        self.write(head_of_failure(failure) + self.last_lines(None, False) + failure.body)
        if self._transport.can_write_eof() and not self.is_ending:
            self.began()
            self.is_ending = True
            self._transport.write_eof()
        else:
            self.close()

    def close(self) -> None:
        """Write what is to be written, and end."""
        if not self.is_ending:
            self.began()
            self.is_ending = True
            self._transport.close()

    def abort(self) -> None:
        """End now."""
        self.is_ending = True
        self._transport.abort()

    def pause(self) -> None:
        """Read nothing more for a while."""
        self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if not self.is_ending:
            self._transport.resume_reading()

    @property
    def unread(self) -> int:
        """Bytes that the client has not taken yet, beyond what lies in the sockets."""
        return self._transport.get_write_buffer_size()

    def is_stuck(self) -> bool:
        """The client does not read what it asked for, or does not go."""
        waited, limits = self._server.tick - self.since, self._server.limits
        if self.unread:
            return waited > limits.for_answer(self._owed)
        return self.is_ending and waited > limits.linger
