"""One client, whose requests are read, handed on and answered one after another."""

from asyncio import BaseTransport, Transport
from typing import TYPE_CHECKING, cast

from anyio import to_thread

from trtasync.server.fast.bridge import Exchange
from trtasync.server.fast.heads import Head
from trtasync.server.fast.reading import Reading
from trtasync.server.fast.replies import Asked
from trtasync.server.fast.sinks import Body, Discarded, Place, Row, Sink
from trtasync.server.fast.wire import Wire
from trtasync.server.fast.writing import VARY, head_of_answer
from trtasync.server.protocol.refusals import Refusal

if TYPE_CHECKING:
    from trtasync.server.fast.server import FastServer

IN_ROW = 64 << 10
"""A body of at least this many bytes is received into the rows of a batch: the copy that this saves
is then worth more than it costs."""


class Connection(Reading):
    """See the module's docstring."""

    def __init__(self, server: "FastServer"):
        """For a client of this server."""
        super().__init__(server)
        self._asked: Asked | None = None  # the request that an engine has
        self._exchange: Exchange | None = None  # the request that the application has

    @property
    def is_blocked(self) -> bool:
        """Whether the client does not read its answers."""
        return self._wire.is_blocked

    def connection_made(self, transport: BaseTransport) -> None:
        """Register the client, or send it away."""
        self._wire = Wire(self._server, cast(Transport, transport))
        if not self._server.welcome(self):
            self._wire.send_away(Refusal("the server has too many connections.", status=503))

    def eof_received(self) -> bool:
        """Close the connection: a client that sends nothing more has left."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has left: withdraw its request."""
        self._wire.is_ending = True
        self._drop_body()
        if self._asked is not None:
            self._asked.leave()
            self._asked = None
        if self._exchange is not None:
            self._exchange.leave()
        self._server.farewell(self)

    def pause_writing(self) -> None:
        """Take up no more requests: the client reads slower than it is answered."""
        self._wire.block()

    def resume_writing(self) -> None:
        """Go on: the client has caught up."""
        self._wire.unblock()
        if self._exchange is not None:
            self._exchange.go_on()
        self.go_on()

    # -- requests and answers --------------------------------------------------------------------

    def _is_busy(self) -> bool:
        """See `Reading`."""
        return self._asked is not None or self._exchange is not None

    def _row(self, head: Head, length: int, came: memoryview) -> Sink | None:
        """See `Reading`."""
        json_length = head.json_length
        if length < IN_ROW or json_length is None or len(came) < json_length:
            return None
        desk = self._server.desk(head)
        if desk is None:
            return None
        json, size = bytes(came[:json_length]), length - json_length
        try:
            request = desk.asked(self, desk, head, *desk.plan(json, json_length, size))
            place = desk.reserve(request, size)
        except Exception as error:
            return Discarded(head, length - len(came), self._server.scratch, error, self._wire.fail)
        if place is None:
            return None
        return Row(request, place, json, came[json_length:], self._commit)

    def _deliver(self, head: Head, body: Body, lent: bool = False) -> None:
        """See `Reading`."""
        desk = self._server.desk(head)
        if desk is None:
            self._exchange = Exchange(self._wire, head, bytes(body), self.exchanged)
            self._server.apply(self._exchange)
            return
        length = head.json_length
        json, binary = (body, b"") if length is None else (body[:length], body[length:])
        try:
            request = desk.asked(self, desk, head, *desk.plan(json, length, len(binary)))
            desk.ask(request, bytes(binary) if lent else binary)
        except Exception as error:
            self._wire.fail(head, error)
        else:
            self._await(request)

    def _commit(self, request: Asked, place: Place) -> None:
        """Submit a request whose tensor has been received into its rows."""
        try:
            place.commit(request)
        except Exception as error:
            self._wire.fail(request.head, error)
        else:
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
        """See `Asker.answered`; `answer` follows at the end of the turn."""
        self._server.outbox.put(self, request)

    def answer(self, request: Asked) -> None:
        """Write the outcome of a request. Must not be called from inside the engine's work."""
        if self._asked is not request:
            return  # the client has left
        if request.plan.in_json and request.is_large():
            self._server.beside(self._answer_beside(request))
        else:
            self._finish(request)

    async def _answer_beside(self, request: Asked) -> None:
        await to_thread.run_sync(request.compose, abandon_on_cancel=True)
        if self._asked is request:  # the client is still there
            self._finish(request)

    def _finish(self, request: Asked) -> None:
        self._asked = None
        try:
            answer = request.read()
        except Exception as error:
            self._wire.fail(request.head, error)
        else:
            size = sum(map(len, answer.parts))
            lines = head_of_answer(answer, size)
            if self._server.compresses:
                lines += VARY
            self._wire.answer(request.head, lines, answer.parts, size)
        self.go_on()

    def exchanged(self) -> None:
        """Go on: the application has answered."""
        self._exchange = None
        self.go_on()

    def abort(self) -> None:
        """End now, whatever is still to be written."""
        self._wire.abort()

    # -- time ------------------------------------------------------------------------------------

    def check(self) -> None:
        """Enforce the client's time limits. Called once a tick, and when the server shuts down."""
        wire, sink, limits = self._wire, self._sink, self._server.limits
        if self._exchange and not (wire.unread or wire.is_ending):
            wire.began()  # no limit holds for the application while its client reads
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
