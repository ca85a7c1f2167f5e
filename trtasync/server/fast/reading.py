"""Reading from one client: bytes, and from these requests one after another."""

from abc import ABC, abstractmethod
from asyncio import BufferedProtocol
from typing import TYPE_CHECKING, cast

from trtasync.server.fast.heads import END, LONGEST, Head
from trtasync.server.fast.sinks import Body, InChunks, Memory, Row, Sink
from trtasync.server.fast.wire import Wire
from trtasync.server.fast.writing import CONTINUE
from trtasync.server.protocol.bodies import too_large
from trtasync.server.protocol.refusals import Refusal

if TYPE_CHECKING:
    from trtasync.server.fast.server import FastServer

AHEAD = 64 << 10
"""Bytes that a client may send ahead, before it has the answer to its current request."""

FAILED_AT_ONCE = 16
"""Requests of one client that are refused in one turn of the loop, before others get their turn."""


class Reading(BufferedProtocol, ABC):
    """The part of a connection that takes bytes in."""

    def __init__(self, server: "FastServer"):
        """For a client of this server."""
        self._server = server
        self._wire = cast(Wire, None)  # before `connection_made`
        self._rest = b""  # has come, but was not looked at yet
        self._is_paused = False  # nothing is received: enough has come ahead
        self._is_behind = False  # `_catch_up` goes on in the next turn
        self._sink: Sink | None = None  # takes the body that is being received
        self._came = 0  # bytes of that body so far

    @abstractmethod
    def _is_busy(self) -> bool:
        """Whether a request is being answered."""

    @abstractmethod
    def _deliver(self, head: Head, body: Body, lent: bool = False) -> None:
        """Handle a complete request. A `body` that is only lent is overwritten afterwards."""

    @abstractmethod
    def _row(self, head: Head, length: int, came: memoryview) -> Sink | None:
        """Return rows for a large tensor that begins with `came`; None to collect it first."""

    @property
    def pending(self) -> int:
        """Bytes that have come of an incomplete request."""
        return self._came + len(self._rest)

    @property
    def is_paused(self) -> bool:
        """Whether nothing is received from the client, which has sent enough ahead."""
        return self._is_paused

    def get_buffer(self, sizehint: int) -> memoryview:
        """See `asyncio.BufferedProtocol`."""
        sink = self._sink
        return self._server.scratch if sink is None else sink.room()

    def buffer_updated(self, nbytes: int) -> None:
        """See `asyncio.BufferedProtocol`."""
        try:
            self._take(nbytes)
        except Exception as error:
            self._send_away(error)

    def _is_free(self) -> bool:
        """Whether the next request may be read."""
        wire = self._wire
        return not (self._is_busy() or self._sink or wire.is_blocked or wire.is_ending)

    def _take(self, count: int) -> None:
        sink = self._sink
        if sink is not None:
            self._receive(count)
            if sink.took(count):
                self._complete(sink)
        elif not self._rest and self._is_free():
            self._read(self._server.buffer, count)
        elif not self._wire.is_ending:
            self._rest += self._server.buffer[:count]
            self.go_on()
            if len(self._rest) > AHEAD and not self._is_free():
                self._is_paused = True
                self._wire.pause()

    def _complete(self, sink: Sink) -> None:
        self._end_body()
        self._rest = sink.rest
        sink.finish()
        self.go_on()

    def _fall_behind(self) -> None:
        """Leave the rest of what has come to the next turn of the loop, as others need theirs."""
        self._is_behind = True
        if not self._is_paused:
            self._is_paused = True
            self._wire.pause()
        self._server.loop.call_soon(self._catch_up)

    def _catch_up(self) -> None:
        self._is_behind = False
        sink = self._sink
        try:
            if isinstance(sink, InChunks) and sink.feed(b""):
                self._complete(sink)
            else:
                self.go_on()
        except Exception as error:
            self._send_away(error)

    def go_on(self) -> None:
        """Read what has come meanwhile, and receive more if there is room."""
        if self._rest and self._is_free():
            rest = bytearray(self._rest)
            self._read(rest, len(rest))
        if self._is_paused and len(self._rest) <= AHEAD and not self._is_behind:
            self._read_again()

    def _read_again(self) -> None:
        self._is_paused = False
        self._wire.resume()

    def _read(self, buffer: bytearray, stop: int) -> None:
        """Take up requests while this is free; keep what is left of `buffer[:stop]`."""
        known, self._rest = self._rest, b""  # an answer at once must not read it again
        try:
            start = self._take_up(buffer, stop)
        except Exception as error:
            self._send_away(error)
            return
        if start or not known:
            self._wire.began()  # what is left belongs to another request
        self._rest = bytes(buffer[start:stop])

    def _take_up(self, buffer: bytearray, stop: int) -> int:
        start = failed = 0
        while start < stop:
            if buffer.startswith(b"\r\n", start):  # some clients end a body with one
                start += 2
                continue
            end = buffer.find(END, start, min(stop, start + LONGEST))
            if end < 0:
                if stop - start >= LONGEST:
                    raise Refusal(f"a head has at most {LONGEST} bytes.", status=431)
                break
            end += len(END)
            head = self._server.heads.read(bytes(buffer[start:end]))
            start = end + self._begin(head, memoryview(buffer)[end:stop])
            if not self._is_free():
                break
            failed += 1
            if failed == FAILED_AT_ONCE:
                self._fall_behind()
                break
        return start

    def _send_away(self, error: Exception) -> None:
        """Answer with an error and end: it is unknown where the next request would begin."""
        self._drop_body()
        self._rest = b""
        if self._is_paused:
            self._read_again()  # unread bytes would reset the connection
        self._wire.send_away(error)

    def _begin(self, head: Head, came: memoryview) -> int:
        """Begin a request; `came` is all that follows its head. Returns the bytes used of that."""
        length, most = head.length, self._server.limits.body
        if length is not None and length <= min(len(came), most):
            self._deliver(head, came[:length], lent=True)
            return length
        if length is not None and length > most:
            raise too_large(most)
        if head.expects and not came:
            self._wire.write(CONTINUE)
        if length is not None:
            self._sink = self._row(head, length, came) or Memory(head, length, came, self._deliver)
            self._receive(len(came))
            return len(came)
        chunks = InChunks(head, most, self._server.scratch, self._deliver, self._fall_behind)
        if not chunks.feed(bytes(came)):
            self._sink = chunks
            self._receive(len(came))
            return len(came)
        chunks.finish()
        return len(came) - len(chunks.rest)

    def step_out(self) -> None:
        """Move the body out of the rows of a batch: others need them, or their engine closes."""
        if isinstance(self._sink, Row):
            self._sink = self._sink.step_out(self._deliver)

    def _drop_body(self) -> None:
        sink = self._sink
        self._end_body()
        if isinstance(sink, Row):
            sink.drop()

    def _receive(self, count: int) -> None:
        self._came += count
        self._server.receive(count)

    def _end_body(self) -> None:
        self._sink = None
        self._server.received(self._came)
        self._came = 0
