"""What client and host have agreed on over one connection: forms, slots, who waits for what.

A request is written to a slot, said, and awaited: that is `SharedEngine.infer`. Here is what comes
back, and what is rare.
"""

import logging
import math
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

from trtasync.errors import DeviceLost, QueueFull, TrtasyncError
from trtasync.loops import EventLoop, Future
from trtasync.model.tensors import ModelSpec
from trtasync.requests.answers import LentAnswer
from trtasync.requests.signature import Array, Shape
from trtasync.shared.connection import Connection
from trtasync.shared.credit import Credit
from trtasync.shared.form_book import FormBook
from trtasync.shared.forms import Places, place
from trtasync.shared.records import (
    MOST_PAYLOAD,
    NEVER,
    RECORD,
    SIZE,
    Nonsense,
    Op,
    Record,
    parse,
)
from trtasync.shared.records import pack as packed
from trtasync.shared.refusals import restore
from trtasync.shared.slots import GENERATIONS, Form, Owner, Slot, owner_of

log: logging.Logger = logging.getLogger("trtasync.host")

DONE, SOURCE = int(Op.DONE), int(Op.SOURCE)


class Session:
    """A client's books of one connection. For the loop's own thread, but `credit`.

    Attributes:
        credit: its slots.
        forms: of its requests.
        quick: those of requests that were one bare array, by its shape: the hot path looks here.
        out: records of this turn of the loop.
        is_open: the host is there.
    """

    def __init__(
        self,
        loop: EventLoop,
        end: socket.socket,
        spec: ModelSpec,
        limit: int | None,
        lost: Callable[[str], None],
    ):
        """Begin.

        Args:
            loop: the running one; `flush` is its callback.
            end: connected, and past the greeting.
            spec: the model's.
            limit: bytes of memory that may be shared; None for any.
            lost: called once, when the other side is gone or talks nonsense, with the reason if
                there is a known one. All who waited have been told by then.
        """
        self._loop = loop
        self._names = [tensor.name for tensor in spec.outputs]
        self._dtypes = [tensor.dtype for tensor in spec.outputs]
        self._lost = lost
        self.credit: Credit = Credit(limit, loop.wake_from_thread)
        self.forms: FormBook = FormBook(
            [tensor.dtype for tensor in spec.inputs],
            len(spec.outputs),
            loop.future,
            self._say,
            lambda: [slot.asked for slot in self.credit.slots],
        )
        self.quick: dict[Shape, Form] = self.forms.quick
        self.out: list[bytes] = []
        self.is_open: bool = True
        self._answers: dict[int, Places] = {}
        self._rest = b""
        self._idle: list[Future] = []
        self._over: Callable[[], TrtasyncError] = lambda: ended("")
        self._connection = Connection(loop, end, self.credit.news, self._heard)
        self._rare: dict[int, Callable[[Record, bytes], None]] = {
            Op.MAPPED: self._mapped,
            Op.FORMED: self._formed,
            Op.ANSWERS: self._answers_come,
            Op.FAILED: self._failed,
            Op.CANCELLED: self._cancelled,
            Op.LARGE: self._large,
            Op.LOG: self._log,
            Op.GONE: self._gone,
        }

    # -- saying ------------------------------------------------------------------------------

    def flush(self) -> None:
        """Say what was to be said in this turn."""
        if self.is_open:
            self._connection.say(self.out)

    def _say(self, record: bytes) -> None:
        if not self.is_open:
            raise self._over()
        self._loop.wake()
        self.out.append(record)

    def wake(self) -> None:
        """Something is said in this turn.

        Raises:
            WrongLoop: another loop is running.
        """
        self._loop.check()
        self._loop.wake()

    def more(self, form: Form) -> Slot:
        """A slot for such a request.

        Raises:
            QueueFull: there is none, and no memory for another one.
        """
        return self.credit.take(form.inputs.size + form.answer_bytes)

    def place(self, form: Form, arrays: Sequence[Array]) -> tuple[Slot, bytes]:
        """A slot for such a request, and the records that say where its arrays lie: b"" where they
        are to be written to the slot.

        Raises:
            QueueFull: see `more`.
        """
        owners = _owners(arrays) if form.large else ()
        if not owners:
            return self.more(form), b""
        records = b""
        for index, (array, owner) in enumerate(zip(arrays, owners, strict=True)):
            start = array.__array_interface__["data"][0] - owner.slot.address
            records += RECORD.pack(SOURCE, 0, index, 0, 0, 0, owner.slot.number, start)
        slot = self.credit.take(form.answer_bytes)
        slot.turn_to_answer()
        slot.sources = owners
        return slot, records

    def until(self, deadline: float) -> int:
        """A deadline of the loop's clock as the host understands it."""
        if deadline == math.inf:
            return NEVER
        left = min(deadline - self._loop.now(), 1e9)
        return max(0, time.monotonic_ns() + int(left * 1e9)) if left > 0 else 0

    def leave(self, slot: Slot, reply: Future | None, record: bytes, awaited: bool) -> None:
        """Nobody waits for a request any more, or it did not come into being.

        Args:
            slot: of it.
            reply: who waited.
            record: that said it.
            awaited: control went back to the loop since, so it may have been sent.
        """
        if record in self.out:
            self.out.remove(record)
            self._free(slot)
        elif not awaited:
            self._free(slot)
        elif slot.reply is reply:
            slot.reply = None
            if self.is_open:
                self._say(packed(Op.CANCEL, slot.number, slot.generation))

    def _free(self, slot: Slot) -> None:
        """The host neither reads nor writes the slot any more, nor where its answer lies."""
        larger, slot.larger = slot.larger, None
        slot.end()
        slot.give_back()
        if larger is not None:
            larger.give_back()

    # -- ending ------------------------------------------------------------------------------

    async def idle(self) -> None:
        """Until everything that was asked has been answered."""
        while self.is_open and (self.awaited() or self.forms.is_awaited):
            future = self._loop.future()
            self._idle.append(future)
            await future

    def awaited(self) -> int:
        """Requests that somebody waits for."""
        return sum(slot.reply is not None for slot in self.credit.slots)

    def _tell_idle(self) -> None:
        if self.is_open and (self.awaited() or self.forms.is_awaited):
            return
        idle, self._idle = self._idle, []
        for future in idle:
            if not future.done():
                future.set_result(None)

    def end(self, error: Callable[[], TrtasyncError]) -> None:
        """Hang up. Twice is fine.

        Args:
            error: makes what each of those fails with who still wait.
        """
        if not self.is_open:
            return
        self.is_open = False
        self._over = error
        self._connection.close()
        slots = self.credit.slots
        self.credit.forget()
        self.out.clear()
        self.quick = {}
        self.forms.fail(error)
        for slot in slots:
            reply = slot.reply
            slot.end()
            slot.larger = None
            if reply is not None and not reply.done():
                reply.set_exception(error())
        self._tell_idle()

    def leave_to_parent(self) -> None:
        """In a forked child, which has not even the memory."""
        self.is_open = False
        self._connection.leave_to_parent()
        self.out.clear()
        self.quick = {}

    # -- hearing -----------------------------------------------------------------------------

    def _heard(self, data: bytes) -> None:
        if not data:
            self._lose("")
            return
        try:
            self._split(self._rest + data if self._rest else data)
        except Exception as error:  # what follows cannot be told apart any more
            self._lose(f"it said what nobody says ({error!r})")
        self._loop.wake()  # behind those who are answered now: what they ask next goes out at once
        if self._idle:
            self._tell_idle()

    def _split(self, data: bytes) -> None:
        at, end = 0, len(data)
        unpack, slots, answers = RECORD.unpack_from, self.credit.slots, self._answers
        while at + SIZE <= end:
            op, _, form, number, generation, size, _, _ = unpack(data, at)
            if op != DONE:
                behind = at + SIZE + size
                if size > MOST_PAYLOAD:
                    raise Nonsense(f"a payload of {size} bytes")
                if behind > end:
                    break
                record = Record._make(unpack(data, at))
                self._rare[op](record, data[at + SIZE : behind])
                if not self.is_open:
                    return
                at = behind
                continue
            at += SIZE
            slot = slots[number]
            reply = slot.reply
            if slot.generation != generation or slot.asked is None:
                raise Nonsense("an answer to what nobody asked")
            if slot.larger is None and slot.answers is not answers[form]:
                slot.look(answers[form])
            if reply is None or reply.done():
                self._free(slot)
            elif slot.plain and slot.larger is None:
                slot.generation = (generation + 1) & GENERATIONS
                slot.reply = slot.asked = None
                reply.set_result(slot.views[0].copy())
                slot.give_back()
            else:
                self._hand_out(slot, reply)
        self._rest = data[at:]

    def _hand_out(self, slot: Slot, reply: Future) -> None:
        """An answer of several arrays, or to be lent, or that lies in a slot of its own."""
        lies, asked = slot.larger or slot, slot.asked
        assert asked is not None
        arrays = lies.views if slot.lend else [view.copy() for view in lies.views]
        answer: Any = arrays[0] if asked.plain else dict(zip(self._names, arrays, strict=True))
        if not slot.lend:
            self._free(slot)
            reply.set_result(answer)
            return
        if lies is not slot:
            slot.larger = None
            slot.give_back()
        slot.end()
        reply.set_result(LentAnswer(answer, lies.give_back))

    def _slot(self, record: Record) -> Slot:
        """The slot that the host speaks of."""
        slot = self.credit.slots[record.slot]
        if slot.generation != record.generation or slot.asked is None:
            raise Nonsense("something of a request that nobody made")
        return slot

    def _failed(self, record: Record, payload: bytes) -> None:
        slot = self._slot(record)
        reply = slot.reply
        self._free(slot)
        if reply is not None and not reply.done():
            reply.set_exception(restore(parse(payload)))

    def _cancelled(self, record: Record, payload: bytes) -> None:
        self._free(self._slot(record))

    def _large(self, record: Record, payload: bytes) -> None:
        """Find room for an answer; the next ones of the form will have it."""
        slot = self._slot(record)
        reply = slot.reply
        if reply is None or reply.done():
            return  # the host is told, or will be, that nobody wants it
        answers = place([tuple(shape) for shape in parse(payload)["shapes"]], self._dtypes)
        assert slot.asked is not None
        self._learn(slot.asked, answers.size)
        try:
            larger = self.credit.take(answers.size)
        except QueueFull as error:
            slot.reply = None
            reply.set_exception(error)
            self._say(packed(Op.CANCEL, slot.number, slot.generation))
            return
        larger.turn_to_answer()
        larger.look(answers)
        slot.larger = larger
        self._say(packed(Op.TAKE, slot.number, slot.generation, number=larger.number))

    def _learn(self, form: Form, size: int) -> None:
        """Answers to such requests have so many bytes."""
        form.answer_bytes = max(size, form.answer_bytes)
        form.free = self.credit.free_of(form.inputs.size + form.answer_bytes)

    def _mapped(self, record: Record, payload: bytes) -> None:
        if payload:
            self.credit.refused(record.slot)

    def _formed(self, record: Record, payload: bytes) -> None:
        if payload:
            told = parse(payload)
            self.forms.refused(record.form, lambda: restore(told))
        else:
            self._learn(self.forms.agreed(record.form), record.number)

    def _answers_come(self, record: Record, payload: bytes) -> None:
        shapes = [tuple(shape) for shape in parse(payload)["shapes"]]
        self._answers[record.form] = place(shapes, self._dtypes)

    def _log(self, record: Record, payload: bytes) -> None:
        told = parse(payload)
        log.log(int(told["level"]), "%s", told["message"])

    def _gone(self, record: Record, payload: bytes) -> None:
        self._lose(str(restore(parse(payload))))

    def _lose(self, reason: str) -> None:
        self.end(lambda: ended(reason))
        self._lost(reason)


def ended(reason: str) -> DeviceLost:
    """What requests fail with whose host is gone."""
    said = f": {reason.rstrip('.')}" if reason else ""
    return DeviceLost(
        f"the engine's process has ended under this request{said}; it was not tried again."
    )


def _owners(arrays: Sequence[Array]) -> Sequence[Owner]:
    """Whose memory the arrays lie in; () where not all of them lie there as they are."""
    owners = []
    for array in arrays:
        owner = owner_of(array)
        # that of an earlier connection lies where the host does not look any more
        if owner is None or owner.slot.free is None or not array.flags.c_contiguous:
            return ()
        owners.append(owner)
    return owners
