"""One client of a host: what it says is checked and done. Nothing it says or shares is trusted."""

import logging
import os
from collections.abc import Callable, Coroutine
from functools import partial
from socket import socket
from typing import Any, Protocol

from trtasync.core.intake import NEVER as FOREVER
from trtasync.errors import EngineRestarting, InvalidInput, QueueFull, TrtasyncError
from trtasync.host.answer_book import AnswerBook
from trtasync.host.connection import Act, Connection
from trtasync.host.limits import Limits
from trtasync.host.memory import Account, map_memory, unmap
from trtasync.host.models import Form, Model, read_shapes
from trtasync.host.slot_book import Segment, SlotBook
from trtasync.host.slots import SharedSlot
from trtasync.loops import EventLoop, free_in_thread
from trtasync.model.arrays import Array, Shape
from trtasync.scheduler.requests import DEFAULT_LEVEL, LEVELS
from trtasync.shared.greeting import Hello, Welcome, read, tell
from trtasync.shared.records import NEVER, Nonsense, Op, Record, dump, pack, parse
from trtasync.shared.refusals import describe

log: logging.Logger = logging.getLogger("trtasync")

MOST_FORMS = 4096
"""Of requests that a client may number."""

AT_ONCE_BYTES = 8 << 20
"""Memory up to this size is mapped, and unmapped, on the loop (registering it with CUDA takes 0.5
ms then)."""

MOST_UNREAD_LOG = 256 * 1024
"""Bytes that wait for a client from which on it is told no lines of the log."""

ENDING = "the engine process ends."

RESTARTING = (
    "the engine process ends, and takes nothing new; try again when there is another one, or have "
    "requests wait for it (reconnect=)."
)


class Around(Protocol):
    """What a session needs of its host."""

    loop: EventLoop
    limits: Limits
    waiting: list[Connection]
    endings: list[SharedSlot]

    def time_of(self, nanoseconds: int) -> float:
        """From CLOCK_MONOTONIC to the loop's clock."""

    def greet(self, session: "Session", hello: Hello) -> tuple[Model | None, Welcome]:
        """Let it in; raises what it is refused with."""

    def told(self) -> dict[str, Any]:
        """Statistics."""

    def left(self, session: "Session") -> None:
        """It has ended."""

    def spawn(self, work: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Run an async function."""


class Session:
    """One client.

    Attributes:
        peer: the client's process and user, as the system knows them.
        hello: what it said of itself; None before that.
        model: that it asks; once it has greeted, as `answers`.
        answers: their shapes by number.
        slots: of its memory.
        account: of bytes that it shares, or that wait for it.
        requests: that it made.
        failed: of these.
        done_error: what a reply raises that is done.
        say: sends a record with all others of this turn.
    """

    model: Model
    answers: AnswerBook

    def __init__(self, around: Around, connection: socket, peer: tuple[int, int], account: Account):
        """Wait for its greeting.

        Args:
            around: the host.
            connection: non-blocking; the session's from now on.
            peer: process and user.
            account: of its memory.
        """
        self.peer = peer
        self.hello: Hello | None = None
        self.requests: int = 0
        self.failed: int = 0
        self.done_error: type[Exception] = around.loop.done_error
        self._around: Around | None = around
        self.account: Account = account
        self.slots: SlotBook = SlotBook(partial(SharedSlot, self))
        self._forms: dict[int, Form] = {}
        self._sources: list[Record] = []
        self._observed: Record | None = None
        self._connection = Connection(
            connection, around.loop, around.limits.unsent, around.waiting, self._over
        )
        self._connection.acts = {Op.HELLO: self._hello}
        self.say: Callable[[bytes], None] = self._connection.say

    # -- what is said once -----------------------------------------------------------------------

    def _hello(self, _: Record, payload: bytes) -> None:
        hello = read(Hello, parse(payload))
        model, welcome = self._host.greet(self, hello)
        self.hello = hello
        acts: dict[int, Act] = {Op.ASK: self._ask}
        if model is not None:
            self.model = model
            self.answers = AnswerBook(model.spec, self._announce, self._renumber)
            self._connection.infer = self._infer
            acts |= {
                Op.CANCEL: self._cancel,
                Op.FORM: self._form,
                Op.MEMORY: self._memory,
                Op.PING: self._ping,
                Op.SOURCE: self._source,
                Op.TAKE: self._take,
                Op.TRACE: self._trace,
            }
        self._connection.acts = acts
        self._tell(Op.WELCOME, payload=dump(tell(welcome)))

    def _ask(self, _: Record, __: bytes) -> None:
        if self._connection.unsent:
            raise Nonsense("statistics are asked for when all answers have been read.")
        self._tell(Op.TOLD, payload=dump(self._host.told()))

    def _ping(self, _: Record, __: bytes) -> None:
        self._tell(Op.PONG)

    def _memory(self, record: Record, _: bytes) -> None:
        descriptor = self._connection.descriptor()
        try:
            segment = self.slots.add(record)
        except Nonsense:
            os.close(descriptor)
            raise
        register, size = self.model.backend.register, segment.size
        work = partial(map_memory, descriptor, size, self.account, register)
        if size <= AT_ONCE_BYTES:
            self._mapped(segment, _outcome(work))
        else:
            self._connection.hold_up()
            self._host.spawn(partial(self._map, segment, work))

    async def _map(self, segment: Segment, work: Callable[[], Array]) -> None:
        outcome = await free_in_thread(lambda: _outcome(work))
        if self._around is not None:
            try:
                self._mapped(segment, outcome)
            except Nonsense as error:
                self.end(error)
                return
            self._connection.go_on()

    def _mapped(self, segment: Segment, outcome: Array | Exception) -> None:
        if isinstance(outcome, ValueError) and not isinstance(outcome, TrtasyncError):
            raise Nonsense(str(outcome))
        if isinstance(outcome, Exception):
            segment.problem = QueueFull(f"the engine process cannot use this memory: {outcome}")
            payload = dump(describe(segment.problem))
            self._tell(Op.MAPPED, segment.first, payload=payload)
        else:
            segment.memory = outcome
            self._tell(Op.MAPPED, segment.first)

    def _form(self, record: Record, payload: bytes) -> None:
        shapes, single = read_shapes(parse(payload))
        number = record.form
        if number >= MOST_FORMS:
            raise Nonsense(f"there are {MOST_FORMS} numbers for shapes; {number} is none of them.")
        self._forms.pop(number, None)
        try:
            form = self.model.form(shapes, single)
        except ValueError as error:
            refusal = error if isinstance(error, TrtasyncError) else InvalidInput(str(error))
            self._tell(Op.FORMED, form=number, payload=dump(describe(refusal)))
        else:
            self._forms[number] = form
            self._tell(Op.FORMED, form=number, number=self.model.answer_bytes(form))

    # -- requests --------------------------------------------------------------------------------

    def _infer(
        self, flag: int, form_number: int, number: int, generation: int, nanoseconds: int
    ) -> None:
        slot, form = self.slots.at(number), self._forms.get(form_number)
        if form is None or slot.held or flag > LEVELS:
            raise Nonsense(
                f"a request in slot {number}, of form {form_number} and priority {flag}: "
                f"{'the slot has one already' if slot.held else 'there is no such thing'}."
            )
        self.requests += 1
        try:
            sources = self._take_sources(form) if self._sources else None
        except QueueFull as error:
            slot.refuse(generation, error)
            return
        deadline = FOREVER if nanoseconds == NEVER else self._host.time_of(nanoseconds)
        slot.ask(form, generation, flag or DEFAULT_LEVEL, deadline, sources)

    def _trace(self, record: Record, _: bytes) -> None:
        self._observed = record
        if self._connection.infer == self._infer:
            self._connection.infer = self._infer_observed

    def _infer_observed(
        self, flag: int, form_number: int, number: int, generation: int, nanoseconds: int
    ) -> None:
        """A request of a client that traces."""
        slot = self.slots.at(number)
        slot.observed, self._observed = self._observed, None
        self._infer(flag, form_number, number, generation, nanoseconds)

    def turn_away(self) -> None:
        """Nothing more is accepted."""
        if self.hello is not None and not self.hello.observer:
            self._connection.infer = self._refuse

    def _refuse(self, _: int, __: int, number: int, generation: int, ___: int) -> None:
        slot = self.slots.at(number)
        if slot.held:
            raise Nonsense(f"slot {slot.number} has a request already.")
        self._sources.clear()
        slot.refuse(generation, EngineRestarting(RESTARTING))

    def _source(self, record: Record, _: bytes) -> None:
        if len(self._sources) >= len(self.model.spec.inputs):
            raise Nonsense("more sources came than the model has inputs.")
        self._sources.append(record)

    def _take_sources(self, form: Form) -> list[Array]:
        """The inputs of a request that lie in slots of their own."""
        sources, self._sources = self._sources, []
        if [record.form for record in sources] != list(range(len(form.places.each))):
            raise Nonsense("sources of a request must come for every input, in order.")
        arrays = []
        for record, each in zip(sources, form.places.each, strict=True):
            slot, at = self.slots.at(record.number), record.other
            memory = self.slots.memory_of(slot)
            if slot.held or at + each.size > len(memory):
                raise Nonsense(f"a source lies at {at} in slot {slot.number}, where it cannot.")
            arrays.append(memory[at : at + each.size].view(each.dtype).reshape(each.shape))
        return arrays

    def _cancel(self, record: Record, _: bytes) -> None:
        slot = self.slots.at(record.slot)
        if slot.held and slot.generation == record.generation:
            slot.cancel()

    def _take(self, record: Record, _: bytes) -> None:
        slot, target = self.slots.at(record.slot), self.slots.at(record.number)
        if target.held or slot.generation != record.generation or not slot.take(target):
            raise Nonsense(f"slot {target.number} cannot take the answer of slot {slot.number}.")

    # -- for its slots ---------------------------------------------------------------------------

    def _announce(self, number: int, shapes: tuple[Shape, ...]) -> None:
        self._tell(Op.ANSWERS, form=number, payload=dump({"shapes": shapes}))

    def _renumber(self) -> None:
        for slot in self.slots:
            slot.forget_answers()

    def await_end(self, slot: SharedSlot) -> None:
        """Ask the slot again when batches have ended."""
        self._host.endings.append(slot)

    @property
    def wants_logs(self) -> bool:
        """It asked for the lines of the host's log."""
        return self.hello is not None and self.hello.logs

    def log(self, line: bytes) -> None:
        """A line of the host's log; lost on who does not read."""
        if self._connection.unsent < MOST_UNREAD_LOG:
            self.say(line)

    # -- its end ---------------------------------------------------------------------------------

    @property
    def keeps_alive(self) -> bool:
        """It is no mere observer."""
        return self.hello is None or not self.hello.observer

    @property
    def owed(self) -> int:
        """Requests that it waits for, and bytes that it has not taken."""
        return self.in_flight + self._connection.unsent

    @property
    def running(self) -> int:
        """Requests that are not answered yet."""
        return sum(slot.asks for slot in self.slots)

    @property
    def in_flight(self) -> int:
        """Slots that are the host's."""
        return sum(slot.held for slot in self.slots)

    def told(self) -> dict[str, Any]:
        """Of this client, as plain data."""
        pid, uid = self.peer
        in_flight = self.in_flight
        return {
            "pid": pid,
            "uid": uid,
            "model": None if self.hello is None or self.hello.observer else self.model.name,
            "slots": len(self.slots),
            "bytes": self.account.used,
            "requests": self.requests,
            "in_flight": in_flight,
            "failed": self.failed,
        }

    def _over(self, error: Exception | None) -> None:
        """It hung up, or said what nobody says."""
        if error is not None:
            bug = None if isinstance(error, TrtasyncError) else error
            words = "process %d of user %d is sent away: %s"
            log.warning(words, *self.peer, error, exc_info=bug)
        self.end(error)

    def end(self, error: Exception | None = None) -> None:
        """It has gone, or it is sent away: what is queued is withdrawn, what runs is dropped.

        Args:
            error: what it is told, if anything.
        """
        around, self._around = self._around, None
        if around is None:
            return
        if error is not None:
            known = error if isinstance(error, TrtasyncError) else TrtasyncError(repr(error))
            self.say(pack(Op.GONE, payload=dump(describe(known))))
        self._connection.close()
        # none of these may be found from here: batches that run hold requests, these their slots
        self._forms, self._sources = {}, []
        memories = self.slots.memories()
        for slot in self.slots.close():
            slot.leave()
            slot.forget()
        if sum(memory.nbytes for memory in memories) > AT_ONCE_BYTES:
            around.spawn(partial(free_in_thread, partial(unmap, memories)))
        around.left(self)

    # -- small things ----------------------------------------------------------------------------

    @property
    def _host(self) -> Around:
        assert self._around is not None
        return self._around

    def _tell(self, op: Op, slot: int = 0, **fields: Any) -> None:
        self.say(pack(op, slot, **fields))


def _outcome(work: Callable[[], Array]) -> Array | Exception:
    try:
        return work()
    except (ValueError, OSError, TrtasyncError) as error:
        return error
