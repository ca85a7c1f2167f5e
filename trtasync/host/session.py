"""One client of a host: what it says is checked and done. Nothing it says or shares is trusted."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from socket import socket
from typing import Any, Protocol

from trtasync.errors import EngineClosed, InvalidInput, QueueFull, TrtasyncError
from trtasync.host.connection import Connection, Said
from trtasync.host.limits import Limits
from trtasync.host.memory import Account, map_memory
from trtasync.host.models import Form, Model
from trtasync.host.slots import SharedSlot
from trtasync.loops import EventLoop, free_in_thread
from trtasync.requests.signature import Array, Shape
from trtasync.scheduler.requests import DEFAULT_LEVEL, LEVELS
from trtasync.shared.arena import MOST_SLOTS
from trtasync.shared.forms import ALIGNMENT, MOST_BYTES, Places, place
from trtasync.shared.greeting import Hello, Welcome, read, tell
from trtasync.shared.records import NEVER, Nonsense, Op, Record, dump, pack, parse
from trtasync.shared.refusals import describe

MOST_FORMS = 4096
"""Of requests, and of answers, that a client may number."""

MOST_AXES = 64

AT_ONCE_BYTES = 8 << 20
"""Memory up to this size is mapped on the loop (registering it with CUDA takes 0.5 ms then)."""

_FOREVER = float("inf")


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

    def spawn(self, work: Callable[[], Any]) -> None:
        """Run an async function."""


@dataclass(slots=True)
class Segment:
    """Slots of one size.

    Attributes:
        first: number of the first one.
        slot_bytes: of each.
        memory: of all of them; None while it is not mapped.
        problem: why it never will be.
    """

    first: int
    slot_bytes: int
    memory: Array | None = None
    problem: TrtasyncError | None = None


class Session:
    """One client.

    Attributes:
        peer: the client's process and user, as the system knows them.
        hello: what it said of itself; None before that.
        model: that it asks.
        requests: that it made.
        failed: of these.
        done_error: what a reply raises that is done.
        say: sends a record with all others of this turn.
    """

    model: Model

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
        self._account = account
        self._slots: list[SharedSlot | None] = []
        self._segments: list[Segment] = []
        self._forms: dict[int, Form] = {}
        self._answers: dict[tuple[Shape, ...], tuple[int, Places]] = {}
        self._sources: list[Record] = []
        self._kept = 0
        self._acts: dict[int, Callable[[Record, bytes], object]] = {Op.HELLO: self._hello}
        self._connection = Connection(
            connection, around.loop, around.limits.unsent, around.waiting, self._heard, self.end
        )
        self.say: Callable[[bytes], None] = self._connection.say

    def _heard(self, said: Said) -> None:
        record, payload = said
        act = self._acts.get(record[0])
        if act is None:
            raise Nonsense(f"nobody says {record.op} here.")
        act(record, payload)

    # -- what is said once -----------------------------------------------------------------------

    def _hello(self, _: Record, payload: bytes) -> None:
        hello = read(Hello, parse(payload))
        model, welcome = self._host.greet(self, hello)
        self.hello = hello
        self._acts = {Op.ASK: self._ask}
        if model is not None:
            self.model = model
            self._acts |= {
                Op.INFER: self._infer,
                Op.CANCEL: self._cancel,
                Op.FORM: self._form,
                Op.MEMORY: self._memory,
                Op.SOURCE: self._source,
                Op.TAKE: self._take,
            }
        self._tell(Op.WELCOME, payload=dump(tell(welcome)))

    def _ask(self, _: Record, __: bytes) -> None:
        self._tell(Op.TOLD, payload=dump(self._host.told()))

    def _memory(self, record: Record, _: bytes) -> None:
        slots, slot_bytes, first = record.number, record.other, len(self._slots)
        descriptor = self._connection.descriptor()
        size = slots * slot_bytes
        if (
            record.slot != first
            or not 0 < slots <= MOST_SLOTS - first
            or not 0 < size <= MOST_BYTES
            or slot_bytes % ALIGNMENT
        ):
            raise Nonsense(
                f"memory of {slots} slots of {slot_bytes} bytes from {record.slot} on was "
                f"announced, and {first} slots are known."
            )
        segment = Segment(first, slot_bytes)
        self._segments.append(segment)
        self._slots.extend([None] * slots)
        work = partial(map_memory, descriptor, size, self._account, self.model.backend.register)
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
        shapes, single = _read_shapes(parse(payload))
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

    def _infer(self, record: Record, __: bytes) -> None:
        _, flag, form_number, number, generation, _, nanoseconds, _ = record
        slot, form = self._slot(number), self._forms.get(form_number)
        if form is None or slot.held or flag > LEVELS:
            raise Nonsense(
                f"a request in slot {number}, of form {form_number} and priority {flag}: "
                f"{'the slot has one already' if slot.held else 'there is no such thing'}."
            )
        self.requests += 1
        sources = self._take_sources(form) if self._sources else None
        deadline = _FOREVER if nanoseconds == NEVER else self._host.time_of(nanoseconds)
        slot.ask(form, generation, flag or DEFAULT_LEVEL, deadline, sources)

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
            slot, at = self._slot(record.number), record.other
            memory = self.memory_of(slot)
            if slot.held or at + each.size > len(memory):
                raise Nonsense(f"a source lies at {at} in slot {slot.number}, where it cannot.")
            arrays.append(memory[at : at + each.size].view(each.dtype).reshape(each.shape))
        return arrays

    def _cancel(self, record: Record, _: bytes) -> None:
        slot = self._slot(record.slot)
        if slot.held and slot.generation == record.generation:
            slot.cancel()

    def _take(self, record: Record, _: bytes) -> None:
        slot, target = self._slot(record.slot), self._slot(record.number)
        if target.held or slot.generation != record.generation or not slot.take(target):
            raise Nonsense(f"slot {target.number} cannot take the answer of slot {slot.number}.")

    # -- for its slots ---------------------------------------------------------------------------

    def memory_of(self, slot: SharedSlot) -> Array:
        """Of one that is to be read.

        Raises:
            QueueFull: the host could not map it.
        """
        if slot.memory is None:
            raise self._segment(slot.number).problem or EngineClosed("the session has ended.")
        return slot.memory

    def answers(self, outputs: Sequence[Array]) -> tuple[int, Places]:
        """The number of these answers' shapes, which the client knows then; how they lie."""
        shapes = tuple(output.shape for output in outputs)
        known = self._answers.get(shapes)
        if known is None:
            if len(self._answers) >= MOST_FORMS:
                self._answers.clear()
                for slot in filter(None, self._slots):
                    slot.forget_answers()
            dtypes = [spec.dtype for spec in self.model.spec.outputs]
            known = self._answers[shapes] = len(self._answers), place(shapes, dtypes)
            self._tell(Op.ANSWERS, form=known[0], payload=dump({"shapes": shapes}))
        return known

    def keep(self, size: int) -> None:
        """So many bytes of answers wait for the client to take them (negative: no more).

        Raises:
            QueueFull: they are too many.
        """
        limit = self._host.limits.bytes_per_client if self._around else 0
        if size > 0 and self._kept + size > limit:
            raise QueueFull(
                f"an answer of {size} bytes is larger than its slot, and {self._kept} bytes of "
                f"others wait to be taken, of {limit} at most; take them, or send less at a time.",
                limit=limit,
            )
        self._kept += size

    def await_end(self, slot: SharedSlot) -> None:
        """Ask the slot again when batches have ended."""
        self._host.endings.append(slot)

    def log(self, line: bytes) -> None:
        """A line of the host's log; lost on who does not read."""
        if self.hello is not None and self.hello.logs and not self._connection.unsent:
            self.say(line)

    def wake(self) -> None:
        """Something was said outside of what sends by itself."""
        if self._around is not None:
            self._around.loop.wake()

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
    def in_flight(self) -> int:
        """Slots that are the host's."""
        return sum(slot is not None and slot.held for slot in self._slots)

    def told(self) -> dict[str, Any]:
        """Of this client, as plain data."""
        pid, uid = self.peer
        in_flight = self.in_flight
        return {
            "pid": pid,
            "uid": uid,
            "model": None if self.hello is None or self.hello.observer else self.model.name,
            "slots": len(self._slots),
            "bytes": self._account.used,
            "requests": self.requests,
            "in_flight": in_flight,
            "failed": self.failed,
        }

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
        slots = [slot for slot in self._slots if slot is not None]
        # none of these may be found from here: batches that run hold requests, these their slots
        self._slots, self._segments, self._acts = [], [], {}
        self._forms, self._answers, self._sources = {}, {}, []
        for slot in slots:
            slot.leave()
            slot.forget()
        around.left(self)

    # -- small things ----------------------------------------------------------------------------

    @property
    def _host(self) -> Around:
        assert self._around is not None
        return self._around

    def _tell(self, op: Op, slot: int = 0, **fields: Any) -> None:
        self.say(pack(op, slot, **fields))
        self.wake()

    def _slot(self, number: int) -> SharedSlot:
        try:
            slot = self._slots[number]
        except IndexError:
            raise Nonsense(f"there is no slot {number}, of {len(self._slots)}.") from None
        return slot or self._first_use(number)

    def _first_use(self, number: int) -> SharedSlot:
        segment = self._segment(number)
        at, memory = (number - segment.first) * segment.slot_bytes, segment.memory
        part = None if memory is None else memory[at : at + segment.slot_bytes]
        slot = self._slots[number] = SharedSlot(number, part, self)
        return slot

    def _segment(self, number: int) -> Segment:
        firsts = [segment.first for segment in self._segments]
        return self._segments[bisect_right(firsts, number) - 1]


def _outcome(work: Callable[[], Array]) -> Array | Exception:
    try:
        return work()
    except (ValueError, OSError, TrtasyncError) as error:
        return error


def _read_shapes(told: dict[str, Any]) -> tuple[list[Shape], bool]:
    shapes, single = told.get("shapes"), told.get("single")
    if not isinstance(shapes, list) or not isinstance(single, bool):
        raise Nonsense("a form needs shapes, and whether a single array is given.")
    for shape in shapes:
        if not isinstance(shape, list) or len(shape) > MOST_AXES:
            raise Nonsense("a shape is a list of few lengths.")
        if any(type(length) is not int or length < 0 for length in shape):
            raise Nonsense("a length is a number, 0 or more.")
    return [tuple(shape) for shape in shapes], single
