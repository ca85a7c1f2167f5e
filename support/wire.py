"""A client of a shared engine's host that sends single records, valid or not."""

import array
import os
import socket
from collections import deque
from collections.abc import Sequence
from typing import Any

import anyio
import numpy.typing as npt

import trtasync
from support.helpers import PATIENCE
from trtasync.model.tensors import ModelSpec
from trtasync.shared import forms, greeting, records, refusals
from trtasync.shared.arena import Segment, make_segment
from trtasync.shared.records import NEVER, Op, Record, pack

Array = npt.NDArray[Any]
Said = tuple[Record, bytes]


class Splitter:
    """Splits a socket's data into records. Keeps incomplete ones for the next time."""

    def __init__(self) -> None:
        self._rest = b""

    def split(self, data: bytes) -> list[Said]:
        """The records that are now complete, with their payloads."""
        data = self._rest + data
        whole: list[Said] = []
        at = 0
        while at + records.SIZE <= len(data):
            record = Record._make(records.RECORD.unpack_from(data, at))
            behind = at + records.SIZE + record.size
            if behind > len(data):
                break
            whole.append((record, data[at + records.SIZE : behind]))
            at = behind
        self._rest = data[at:]
        return whole


class WireClient:
    """One connection, without any state: the test decides what it sends.

    Attributes:
        end: its socket.
        spec: of the model, once it is welcome.
        segments: that it shares.
        answers: shapes of answers, by number.
    """

    def __init__(self, end: socket.socket):
        """Send nothing yet; this client owns the socket from now on."""
        end.setblocking(False)
        self.end = end
        self.spec: ModelSpec | None = None
        self.segments: list[Segment] = []
        self.forms: dict[int, tuple[forms.Places, int]] = {}
        self.answers: dict[int, list[tuple[int, ...]]] = {}
        self._splitter = Splitter()
        self._heard: deque[Said] = deque()

    # -- records ---------------------------------------------------------------------------------

    def say(self, *said: bytes, descriptors: Sequence[int] = ()) -> None:
        """Send bytes, optionally with file descriptors."""
        rights = array.array("i", descriptors)
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if descriptors else []
        self.end.sendmsg([b"".join(said)], ancillary)

    async def hear(self) -> Said:
        """The next record. `ANSWERS` are recorded along the way.

        Raises:
            EOFError: the host has closed the connection.
        """
        with anyio.fail_after(PATIENCE):
            while True:
                while self._heard:
                    record, payload = self._heard.popleft()
                    if record.op != Op.ANSWERS:
                        return record, payload
                    shapes = records.parse(payload)["shapes"]
                    self.answers[record.form] = [tuple(shape) for shape in shapes]
                await anyio.wait_readable(self.end)
                data = self.end.recv(1 << 16)
                if not data:
                    raise EOFError
                self._heard.extend(self._splitter.split(data))

    async def hear_all(self, count: int) -> list[Said]:
        """This many records."""
        return [await self.hear() for _ in range(count)]

    async def expect(self, op: Op) -> Said:
        """The next record, which must be of this kind."""
        record, payload = await self.hear()
        assert record.op == op, (record, payload)
        return record, payload

    async def refusal(self, op: Op) -> trtasync.TrtasyncError:
        """The error in the next record, which must be of this kind."""
        _, payload = await self.expect(op)
        return self.error(payload)

    @staticmethod
    def error(payload: bytes) -> trtasync.TrtasyncError:
        """The error that a payload describes."""
        return refusals.restore(records.parse(payload))

    async def ended(self) -> bool:
        """Check that nothing more arrives and the host has closed the connection."""
        try:
            await self.hear()
        except (EOFError, ConnectionResetError):
            return True
        return False

    # -- what clients say ------------------------------------------------------------------------

    async def greet(self, model: str | None = None, **fields: Any) -> greeting.Welcome:
        """Send the greeting, and expect the welcome."""
        self.say(hello(model, **fields))
        _, payload = await self.expect(Op.WELCOME)
        welcome = greeting.read(greeting.Welcome, records.parse(payload))
        if welcome.spec is not None:
            self.spec = greeting.read_spec(welcome.spec)
        return welcome

    def announce(self, slots: int, slot_bytes: int) -> Segment:
        """Share memory, and do not wait for the host to map it."""
        first = sum(segment.slots for segment in self.segments)
        segment = make_segment(first, slot_bytes, slots)
        self.segments.append(segment)
        self.say(
            pack(Op.MEMORY, first, number=slots, other=slot_bytes),
            descriptors=[segment.descriptor],
        )
        os.close(segment.descriptor)
        return segment

    async def share(self, slots: int, slot_bytes: int) -> Segment:
        """Share memory."""
        segment = self.announce(slots, slot_bytes)
        await self.expect(Op.MAPPED)
        return segment

    async def form(self, number: int, *shapes: tuple[int, ...], single: bool = True) -> int:
        """Announce shapes; the bytes that answers are said to need."""
        assert self.spec is not None
        self.say(form(number, *shapes, single=single))
        record, _ = await self.expect(Op.FORMED)
        dtypes = [tensor.dtype for tensor in self.spec.inputs]
        self.forms[number] = forms.place(shapes, dtypes), record.number
        return record.number

    def memory(self, slot: int) -> Array:
        """The bytes of a slot."""
        segment = next(
            each for each in self.segments if each.first <= slot < each.first + each.slots
        )
        at = (slot - segment.first) * segment.slot_bytes
        return segment.memory[at : at + segment.slot_bytes]

    def put(self, slot: int, number: int, *arrays: Array) -> None:
        """Write the inputs of a request of a form."""
        places, _ = self.forms[number]
        for target, each in zip(places.views(self.memory(slot)), arrays, strict=True):
            target[...] = each

    def ask(
        self, slot: int, number: int, *arrays: Array, generation: int = 0, **fields: Any
    ) -> None:
        """A request, without waiting for its answer."""
        self.put(slot, number, *arrays)
        self.say(infer(slot, number, generation, **fields))

    def answer(self, slot: int, number: int, known: int) -> list[Array]:
        """What follows the inputs of a form, with the shapes of a known answer."""
        return self.read(slot, self.forms[number][0].size, known)

    def read(self, slot: int, at: int, known: int) -> list[Array]:
        """An answer of known shapes."""
        assert self.spec is not None
        dtypes = [tensor.dtype for tensor in self.spec.outputs]
        places = forms.place(self.answers[known], dtypes)
        return [view.copy() for view in places.views(self.memory(slot), at)]

    async def infer(self, slot: int, number: int, *arrays: Array, **fields: Any) -> list[Array]:
        """A request and its answer, while there is no other request."""
        self.ask(slot, number, *arrays, **fields)
        record, _ = await self.expect(Op.DONE)
        assert record.slot == slot
        return self.answer(slot, number, record.form)

    def close(self) -> None:
        """Leave."""
        self.end.close()


def hello(model: str | None = None, **fields: Any) -> bytes:
    """The first record."""
    said = greeting.Hello(**{"version": trtasync.__version__, "pid": os.getpid(), **fields})
    told = {**greeting.tell(said), "model": model}
    return pack(Op.HELLO, payload=records.dump(told))


def form(number: int, *shapes: Sequence[int], single: bool = True) -> bytes:
    """Shapes that will come."""
    payload = records.dump({"shapes": shapes, "single": single})
    return pack(Op.FORM, form=number, payload=payload)


def infer(
    slot: int, number: int, generation: int = 0, *, priority: int = 0, deadline: int = NEVER
) -> bytes:
    """A request."""
    return pack(Op.INFER, slot, generation, flag=priority, form=number, number=deadline)


def source(index: int, slot: int, at: int = 0) -> bytes:
    """Where an input of the request that follows lies."""
    return pack(Op.SOURCE, form=index, number=slot, other=at)
