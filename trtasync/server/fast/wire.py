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
"""The body of an answer is joined to its head up to this many bytes, to leave in one piece."""


class Wire:
    """See the module's docstring.

    Attributes:
        is_blocked: the client does not read, or not as fast as it is answered.
        is_ending: nothing more is written to the client, and no request of it is read.
        since: the server's tick at which client or server began its current activity.
    """

    def __init__(self, server: "FastServer", transport: Transport):
        """Wrap an open connection."""
        self.is_blocked: bool = False
        self.is_ending: bool = False
        self.since: int = server.tick
        self._server = server
        self._transport = transport
        self._owed = 0  # bytes unread when the client stopped reading

    @property
    def scheme(self) -> str:
        """The scheme of the client's URLs."""
        return "http" if self.about("sslcontext") is None else "https"

    def about(self, name: str) -> Any:
        """See `asyncio.BaseTransport.get_extra_info`."""
        return self._transport.get_extra_info(name)

    def block(self) -> None:
        """Note that the client reads slower than it is answered."""
        self.is_blocked = True
        self._owed = self.unread
        self.began()

    def unblock(self) -> None:
        """Note that the client has caught up."""
        self.is_blocked = False
        self._owed = 0
        self.began()

    def began(self) -> None:
        """Note that another activity begins, whose time is limited anew."""
        self.since = self._server.tick

    def keeps(self, wanted: bool) -> bool:
        """Whether the connection goes on after this answer: if that is `wanted`, and not while the
        server drains."""
        return wanted and not self._server.is_draining

    def last_lines(self, head: Head | None, keeps: bool) -> bytes:
        """The end of the head of an answer to `head`, up to the empty line."""
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
        """Write a part of an answer, unless the connection is ending."""
        if not self.is_ending:
            self._transport.write(content)

    def ended_answer(self, keeps: bool) -> None:
        """Note that an answer is complete; close the connection unless it `keeps`."""
        self.since = self._server.tick
        if not keeps:
            self.close()

    def fail(self, head: Head, error: BaseException) -> None:
        """Answer a request with an error; no byte of its body may still be to come."""
        failure = failure_of(error)
        self.answer(head, head_of_failure(failure), [failure.body], len(failure.body))

    def send_away(self, error: BaseException) -> None:
        """Answer with an error, and end the connection: its next request begins somewhere unknown.

        Closing at once, with something unread, would reset the connection, and the client might not
        get the answer. So it gets time to take notice first.
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
        """Write what is still to be written, and end."""
        if not self.is_ending:
            self.began()
            self.is_ending = True
            self._transport.close()

    def abort(self) -> None:
        """End now."""
        self.is_ending = True
        self._transport.abort()

    def pause(self) -> None:
        """Stop receiving for a while."""
        self._transport.pause_reading()

    def resume(self) -> None:
        """Receive again."""
        if not self.is_ending:
            self._transport.resume_reading()

    @property
    def unread(self) -> int:
        """Bytes that the client has not taken yet, beyond those in the sockets' buffers."""
        return self._transport.get_write_buffer_size()

    def is_stuck(self) -> bool:
        """Whether the client took too long to read an answer, or to go."""
        waited, limits = self._server.tick - self.since, self._server.limits
        if self.unread:
            return waited > limits.for_answer(self._owed)
        return self.is_ending and waited > limits.linger
