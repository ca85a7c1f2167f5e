"""One client: its requests are read, handed on and answered one after another."""

from asyncio import BaseTransport, BufferedProtocol, Transport
from typing import TYPE_CHECKING, cast

from trtasync.core.reservations import Reservation
from trtasync.server.fast.bridge import Exchange
from trtasync.server.fast.heads import END, LONGEST, Head
from trtasync.server.fast.replies import Asked
from trtasync.server.fast.sinks import Body, Discarded, InChunks, Memory, Row, Sink
from trtasync.server.fast.wire import Wire
from trtasync.server.fast.writing import CONTINUE, head_of_answer
from trtasync.server.protocol.bodies import too_large
from trtasync.server.protocol.refusals import Refusal

if TYPE_CHECKING:
    from trtasync.server.fast.server import FastServer

AHEAD = 64 << 10
"""Bytes that a client may send before it has the answer to what it sent first."""

IN_ROW = 64 << 10
"""Bytes of a body from which on it is received into the rows of a batch: then a copy saved is worth
more than what that costs."""


class Connection(BufferedProtocol):
    """See the module's docstring."""

    def __init__(self, server: "FastServer"):
        """Of this server."""
        self._server = server
        self._wire = cast(Wire, None)  # before `connection_made`
        self._rest = b""  # came, and was not looked at yet
        self._is_paused = False  # nothing is read, there is enough of that
        self._sink: Sink | None = None  # takes the body that is being received
        self._came = 0  # bytes of it
        self._asked: Asked | None = None  # is with an engine
        self._exchange: Exchange | None = None  # is with the application

    @property
    def is_blocked(self) -> bool:
        """The client does not read what it is answered."""
        return self._wire.is_blocked

    @property
    def pending(self) -> int:
        """Bytes of a request that is not complete."""
        return self._came + len(self._rest)

    @property
    def is_paused(self) -> bool:
        """It is not read from: it has sent enough ahead."""
        return self._is_paused

    # -- asyncio.BufferedProtocol ----------------------------------------------------------------

    def connection_made(self, transport: BaseTransport) -> None:
        """A client came."""
        self._wire = Wire(self._server, cast(Transport, transport))
        if not self._server.welcome(self):
            self._wire.send_away(Refusal("the server has too many connections.", status=503))

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go."""
        sink = self._sink
        return self._server.scratch if sink is None else sink.room()

    def buffer_updated(self, nbytes: int) -> None:
        """They came."""
        try:
            self._take(nbytes)
        except Exception as error:
            self._send_away(error)

    def eof_received(self) -> bool:
        """The client sends nothing more, which is how clients leave."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has left, and takes its request along."""
        self._wire.is_ending = True
        self._drop_body()
        if self._asked is not None:
            self._asked.leave()
            self._asked = None
        if self._exchange is not None:
            self._exchange.leave()
        self._server.farewell(self)

    def pause_writing(self) -> None:
        """The client reads slower than it asks."""
        self._wire.block()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._wire.unblock()
        if self._exchange is not None:
            self._exchange.go_on()
        self.go_on()

    # -- what comes in ---------------------------------------------------------------------------

    @property
    def _is_free(self) -> bool:
        """The next request may be read."""
        return (
            self._asked is None
            and self._exchange is None
            and self._sink is None
            and not self._wire.is_blocked
            and not self._wire.is_ending
        )

    def _take(self, count: int) -> None:
        sink = self._sink
        if sink is not None:
            self._receive(count)
            if sink.took(count):
                self._end_body()
                self._rest = sink.rest
                sink.finish()
                self.go_on()
        elif not self._rest and self._is_free:
            self._read(self._server.buffer, count)
        elif not self._wire.is_ending:
            self._rest += self._server.buffer[:count]
            self.go_on()
            if len(self._rest) > AHEAD and not self._is_free:
                self._is_paused = True
                self._wire.pause()

    def go_on(self) -> None:
        """Look at what has come meanwhile."""
        if self._rest and self._is_free:
            rest = bytearray(self._rest)
            self._read(rest, len(rest))
        if self._is_paused and len(self._rest) <= AHEAD:
            self._is_paused = False
            self._wire.resume()

    def _read(self, buffer: bytearray, stop: int) -> None:
        """Take requests up while this is free; what is left of `buffer[:stop]` is kept."""
        known, self._rest = self._rest, b""  # an answer at once must not look at it again
        try:
            start = self._take_up(buffer, stop)
        except Exception as error:
            self._send_away(error)
            return
        if start or not known:
            self._wire.began()  # what is left is of another request
        self._rest = bytes(buffer[start:stop])

    def _take_up(self, buffer: bytearray, stop: int) -> int:
        start = 0
        while start < stop and self._is_free:
            if buffer.startswith(b"\r\n", start):  # some clients send one behind a body
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
        return start

    def _send_away(self, error: Exception) -> None:
        """Nobody knows where the next request would begin."""
        self._drop_body()
        self._rest = b""
        self._wire.send_away(error)

    def _begin(self, head: Head, came: memoryview) -> int:
        """A request, of whose body, and what follows that, this came; returns what it took."""
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
        chunks = InChunks(head, most, self._server.scratch, self._deliver)
        if not chunks.feed(bytes(came)):
            self._sink = chunks
            self._receive(len(came))
            return len(came)
        chunks.finish()
        return len(came) - len(chunks.rest)

    def _row(self, head: Head, length: int, came: memoryview) -> Sink | None:
        """Rows for a large tensor, of which `came` is here; None where it is collected first."""
        json_length = head.json_length
        if length < IN_ROW or json_length is None or len(came) < json_length:
            return None
        desk = self._server.desk(head)
        if desk is None:
            return None
        json, size = bytes(came[:json_length]), length - json_length
        try:
            request = Asked(self, desk, head, *desk.plan(json, json_length, size))
            reservation = desk.reserve(request, size)
        except Exception as error:
            return Discarded(head, length - len(came), self._server.scratch, error, self._wire.fail)
        if reservation is None:
            return None
        return Row(request, reservation, json, came[json_length:], self._commit)

    def step_out(self) -> None:
        """Leave the rows of a batch: others want them, or their engine ends."""
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

    # -- requests and answers --------------------------------------------------------------------

    def _deliver(self, head: Head, body: Body, lent: bool = False) -> None:
        """A request is complete. A `body` that is only lent will be overwritten."""
        desk = self._server.desk(head)
        if desk is None:
            self._exchange = Exchange(self._wire, head, bytes(body), self.exchanged)
            self._server.apply(self._exchange)
            return
        length = head.json_length
        json, binary = (body, b"") if length is None else (body[:length], body[length:])
        try:
            request = Asked(self, desk, head, *desk.plan(json, length, len(binary)))
            desk.ask(request, bytes(binary) if lent else binary)
        except Exception as error:
            self._wire.fail(head, error)
        else:
            self._await(request)

    def _commit(self, request: Asked, reservation: Reservation) -> None:
        """A tensor has been received into its rows."""
        try:
            reservation.commit(request)
        except Exception as error:
            self._wire.fail(request.head, error)
        else:
            if not request.done():
                request.reservation = reservation
            self._await(request)

    def _await(self, request: Asked) -> None:
        self._asked = request
        timeout = request.plan.timeout
        if timeout is not None and not request.done():
            request.timer = self._server.loop.call_later(timeout, self._expire, request)

    def _expire(self, request: Asked) -> None:
        request.leave()
        self._asked = None
        self._wire.fail(request.head, TimeoutError())
        self.go_on()

    def answered(self, request: Asked) -> None:
        """See `Asker.answered`: at the end of the turn comes `answer`."""
        self._server.answer_later(self, request)

    def answer(self, request: Asked) -> None:
        """Write how a request ended. Not to be called by the engine, which may be at work."""
        if self._asked is not request:
            return  # the client has left
        self._asked = None
        try:
            answer = request.read()
        except Exception as error:
            self._wire.fail(request.head, error)
        else:
            size = sum(map(len, answer.parts))
            self._wire.answer(request.head, head_of_answer(answer, size), answer.parts, size)
        self.go_on()

    def exchanged(self) -> None:
        """The application has answered."""
        self._exchange = None
        self.go_on()

    def abort(self) -> None:
        """End now, whatever there is to be said."""
        self._wire.abort()

    # -- time ------------------------------------------------------------------------------------

    def check(self) -> None:
        """Has the client had its time? Called once a tick, and when the server ends."""
        wire, sink, limits = self._wire, self._sink, self._server.limits
        if wire.is_stuck():
            wire.abort()
            return
        if wire.is_ending or wire.is_blocked or self._asked or self._exchange:
            return
        waited = self._server.tick - wire.since
        if sink is not None:
            if waited > limits.in_row:
                self.step_out()
            if waited > limits.for_body(sink.head.length):
                self._drop_body()
                wire.send_away(Refusal("the body took too long to come.", status=408))
        elif self._rest:
            if waited > limits.head:
                wire.send_away(Refusal("the head took too long to come.", status=408))
        elif waited > limits.idle or self._server.is_draining:
            wire.close()
