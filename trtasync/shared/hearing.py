"""What a host says to a client: who waits gets an answer, and slots come back."""

import logging
from collections.abc import Callable
from typing import Any

from trtasync.errors import QueueFull, TrtasyncError
from trtasync.loops import Future
from trtasync.model.tensors import ModelSpec
from trtasync.requests.answers import LentAnswer
from trtasync.shared.credit import Credit
from trtasync.shared.form_book import FormBook
from trtasync.shared.forms import Places, place
from trtasync.shared.records import MOST_PAYLOAD, RECORD, SIZE, Nonsense, Op, Record, parse
from trtasync.shared.records import pack as packed
from trtasync.shared.refusals import restore
from trtasync.shared.slots import GENERATIONS, Form, Slot

log: logging.Logger = logging.getLogger("trtasync.host")

DONE = int(Op.DONE)


class Gone(Exception):
    """The host ends the session, and says why.

    Attributes:
        error: what it said.
    """

    def __init__(self, error: TrtasyncError):
        super().__init__(str(error))
        self.error: TrtasyncError = error


class Hearing:
    """Takes what comes over one connection.

    Attributes:
        pongs: answers to `PING` that came.
    """

    def __init__(
        self, spec: ModelSpec, credit: Credit, forms: FormBook, say: Callable[[bytes], None]
    ):
        """Nothing came yet.

        Args:
            spec: the model's.
            credit: the slots that are spoken of.
            forms: of requests.
            say: sends a record.
        """
        self._names = [tensor.name for tensor in spec.outputs]
        self._dtypes = [tensor.dtype for tensor in spec.outputs]
        self._credit = credit
        self._forms = forms
        self._say = say
        self._answers: dict[int, Places] = {}
        self._rest = b""
        self.pongs: int = 0
        self._rare: dict[int, Callable[[Record, bytes], None]] = {
            Op.MAPPED: self._mapped,
            Op.FORMED: self._formed,
            Op.ANSWERS: self._answers_come,
            Op.FAILED: self._failed,
            Op.CANCELLED: self._cancelled,
            Op.LARGE: self._large,
            Op.LOG: self._log,
            Op.GONE: self._gone,
            Op.PONG: self._pong,
        }

    def hear(self, data: bytes) -> None:
        """What came next.

        Raises:
            Gone: the host ends the session.
            Exception: it said what nobody says; what follows cannot be told apart any more.
        """
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        unpack, slots, answers = RECORD.unpack_from, self._credit.slots, self._answers
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
                slot.free_up()
            elif slot.plain and slot.larger is None:
                slot.generation = (generation + 1) & GENERATIONS
                slot.reply = slot.asked = None
                if slot.sources:
                    slot.sources = ()
                reply.set_result(slot.copies[0]())
                slot.give_back()
            else:
                self._hand_out(slot, reply)
        self._rest = data[at:]

    def _hand_out(self, slot: Slot, reply: Future) -> None:
        """An answer of several arrays, or to be lent, or that lies in a slot of its own."""
        lies, asked = slot.larger or slot, slot.asked
        assert asked is not None
        lent = slot.lent
        arrays = [copy() for copy in lies.copies] if lent is None else lies.views
        answer: Any = arrays[0] if asked.plain else dict(zip(self._names, arrays, strict=True))
        if lent is None:
            slot.free_up()
            reply.set_result(answer)
            return
        if lies is not slot:
            slot.larger = None
            slot.give_back()
        slot.end()
        lent.append(LentAnswer(answer, lies.give_back))
        reply.set_result(lent[0])

    def _slot(self, record: Record) -> Slot:
        """The slot that the host speaks of."""
        slot = self._credit.slots[record.slot]
        if slot.generation != record.generation or slot.asked is None:
            raise Nonsense("something of a request that nobody made")
        return slot

    def _failed(self, record: Record, payload: bytes) -> None:
        slot = self._slot(record)
        reply = slot.reply
        slot.free_up()
        if reply is not None and not reply.done():
            reply.set_exception(restore(parse(payload)))

    def _cancelled(self, record: Record, payload: bytes) -> None:
        self._slot(record).free_up()

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
            larger = self._credit.take(answers.size)
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
        form.free = self._credit.free_of(form.inputs.size + form.answer_bytes)
        form.answers = self._credit.free_of(form.answer_bytes)

    def _mapped(self, record: Record, payload: bytes) -> None:
        if payload:
            self._credit.refused(record.slot)
        else:
            self._credit.taken()

    def _formed(self, record: Record, payload: bytes) -> None:
        if payload:
            told = parse(payload)
            self._forms.refused(record.form, lambda: restore(told))
        else:
            self._learn(self._forms.agreed(record.form), record.number)

    def _answers_come(self, record: Record, payload: bytes) -> None:
        shapes = [tuple(shape) for shape in parse(payload)["shapes"]]
        self._answers[record.form] = place(shapes, self._dtypes)

    def _log(self, record: Record, payload: bytes) -> None:
        told = parse(payload)
        log.log(int(told["level"]), "%s", told["message"])

    def _gone(self, record: Record, payload: bytes) -> None:
        raise Gone(restore(parse(payload)))

    def _pong(self, record: Record, payload: bytes) -> None:
        self.pongs += 1
