"""A slot of a client's memory, as the host sees it: the request in it, and its answer."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from trtasync.core.exceptions import own_error, unanswered
from trtasync.core.intake import NEVER, REFUSED
from trtasync.core.reservations import Reservation
from trtasync.errors import TrtasyncError
from trtasync.host.models import Form
from trtasync.model.arrays import Array, Shape
from trtasync.requests.answers import LentAnswer
from trtasync.requests.signature import Signature, Staged
from trtasync.scheduler import Batch, Chunk, Queue
from trtasync.scheduler.requests import DEFAULT_LEVEL
from trtasync.scheduler.states import OVER, RUNNING
from trtasync.shared.records import RECORD, Nonsense, Op, Record, dump, pack
from trtasync.shared.refusals import describe

if TYPE_CHECKING:
    from trtasync.host.session import Session

ndarray = np.ndarray
DONE, NOTHING = int(Op.DONE), b""

LARGE_ANSWER_BYTES = 64 * 1024
"""Answers from this size on are copied from where the batch has them, not from a copy of it."""

MOST_CONTENTS = 32
"""Forms whose views a slot remembers."""

Content = tuple[Signature[Queue], Staged]


class Left(BaseException):
    """Why a request left: its client cancelled it, or is gone."""


class SharedSlot:
    """Part of a client's memory, the request in it, and where its outcome is reported.

    It is the client's until `ask`, and the host's (`held`) until one of the final records about it
    was sent: so no request ever shares it with remains of another.

    Attributes:
        number: the client's number for it.
        memory: its bytes; None if the host could not map them.
        held: it belongs to the host now.
        generation: of the request; tells the client which use of the slot is meant.
        observed: the client's `TRACE` of the request; None without one.
    """

    __slots__ = (
        "_batches",
        "_cancelled",
        "_contents",
        "_done",
        "_form",
        "_kept",
        "_kept_bytes",
        "_known",
        "_last",
        "_reservation",
        "_session",
        "_shape",
        "_start",
        "_vector",
        "generation",
        "held",
        "memory",
        "number",
        "observed",
    )

    def __init__(self, session: "Session", number: int, memory: Array | None):
        self.number: int = number
        self.memory: Array | None = memory
        self.held: bool = False
        self.generation: int = 0
        self.observed: Record | None = None
        self._session = session
        self._contents: dict[Form, Content] = {}
        self._done = True
        self._cancelled = False
        self._reservation: Reservation | None = None
        self._form: Form | None = None
        self._start = 0
        self._kept: list[Array] | None = None
        self._kept_bytes = 0
        self._last = NOTHING
        self._batches: list[Batch[Any]] = []
        self.forget_answers()

    # -- what the client says --------------------------------------------------------------------

    def ask(
        self,
        form: Form,
        generation: int,
        level: int,
        deadline: float,
        sources: Sequence[Array] | None,
    ) -> None:
        """Accept the request that is in the slot.

        Args:
            form: its shapes.
            generation: by which the client will cancel it.
            level: its priority.
            deadline: by the loop's clock.
            sources: its inputs, if they are not in the slot.
        """
        self.held = True
        self.generation = generation
        self._done = self._cancelled = False
        if form is not self._form or sources is not None or not self._start:
            self._turn(form, sources is None)
        reservation = Reservation()
        special = deadline != NEVER or level != DEFAULT_LEVEL or form.lends
        if special:
            reservation.deadline = deadline
            reservation.level = level
            reservation.lend = reservation.unusual = form.lends
        model = self._session.model
        try:
            content = self._contents.get(form) if sources is None else None
            signature, staged = content or self._read(form, sources)
            self._reservation = reservation
            model.intake.enter(reservation, signature, staged, self, special)
        except REFUSED as error:
            self._refuse(error)
        except Nonsense:
            raise
        except Exception as error:
            try:
                model.intake.leave(reservation, error)
            except TrtasyncError as unstaged:
                error = unstaged
            self._refuse(own_error(error))

    def refuse(self, generation: int, error: TrtasyncError) -> None:
        """Refuse a request that cannot be submitted at all."""
        self.generation = generation
        self._refuse(error)

    def _turn(self, form: Form, in_slot: bool) -> None:
        """Prepare for a form other than the last one's: answers are in another place."""
        start = form.places.size if in_slot else 0
        if start != self._start:
            self._start = start
            self.forget_answers()
        self._form = form

    def _read(self, form: Form, sources: Sequence[Array] | None) -> Content:
        session = self._session
        memory = session.slots.memory_of(self)
        if sources is not None:
            return session.model.read(form, sources)
        if form.places.size > len(memory):
            raise Nonsense(
                f"a request of {form.places.size} bytes in slot {self.number}, of {len(memory)}."
            )
        content = session.model.read(form, form.places.views(memory))
        if session.model.keeps:
            if len(self._contents) >= MOST_CONTENTS:
                self._contents.clear()
            self._contents[form] = content
        return content

    def cancel(self) -> None:
        """Nobody waits for the answer any more. The slot is free when nothing reads it."""
        if self._kept is not None:
            self._let_go()
            self._free(pack(Op.CANCELLED, self.number, self.generation))
        elif not self._done:
            self.leave()
            self._end(pack(Op.CANCELLED, self.number, self.generation))

    def leave(self) -> None:
        """Take the request out of the queue; what is running of it is discarded."""
        reservation = self._reservation
        if reservation is None:
            return
        self._done = self._cancelled = True
        self._reservation = None  # it refers to this slot: a cycle
        self._batches = running(reservation)
        self._session.model.intake.leave(reservation, Left())

    def forget(self) -> None:
        """The client is gone: keep none of its memory except what running batches read."""
        if self._kept is not None:
            self._let_go()
        self.memory = self._form = None
        self._contents.clear()
        self.forget_answers()

    def take(self, target: "SharedSlot") -> bool:
        """Write the large answer to another slot; False if there is none, or no room for it. If the
        other slot's memory could not be mapped, the request fails."""
        if self._kept is None:
            return False
        outputs = self._let_go()
        try:
            memory = self._session.slots.memory_of(target)
        except TrtasyncError as error:
            self._refuse(error)
            return True
        number, places = self._session.answers.number(outputs)
        if places.size > len(memory):
            return False
        for place, output in zip(places.each, outputs, strict=True):
            place.view(memory)[...] = output
        self._free(pack(Op.DONE, self.number, self.generation, form=number))
        return True

    @property
    def asks(self) -> bool:
        """Whether a request in it waits for its answer."""
        return not self._done

    # -- core.replies.Reply ----------------------------------------------------------------------

    def done(self) -> bool:
        """See `Reply.done`."""
        return self._done

    def cancelled(self) -> bool:
        """Whether it ended because its client wants no answer."""
        return self._cancelled

    def set_result(self, answer: Any, /) -> None:
        """See `Reply.set_result`."""
        if self._done:
            raise self._session.done_error
        if type(answer) is ndarray and answer.shape == self._shape:
            try:
                self._vector[:] = cast(Any, answer)
            except ValueError:  # of another type, or with other strides
                self._answer(answer)
            else:
                self._done = True
                self._reservation = None
                self.held = False
                self._session.say(
                    RECORD.pack(DONE, 0, self._known, self.number, self.generation, 0, 0, 0)
                )
        else:
            self._answer(answer)

    def set_exception(self, error: BaseException, /) -> None:
        """See `Reply.set_exception`."""
        if self._done:
            raise self._session.done_error
        reservation = self._reservation
        if reservation is not None and reservation.chunks:  # other chunks may still be running
            self._done = True
            self._batches = running(reservation)
            self._end(self._failure(cast(TrtasyncError, error)))
        else:
            self._refuse(cast(TrtasyncError, error))

    # -- how it ends -----------------------------------------------------------------------------

    def ended(self) -> bool:
        """Nothing reads the slot any more: tell the client, which gets it back."""
        if any(batch.state is not OVER for batch in self._batches):
            return False
        self._batches = []
        self._free(self._last)
        self._last = NOTHING
        return True

    def _end(self, last: bytes) -> None:
        """Send `last` when all batches that read the slot have ended."""
        self._reservation = None
        self._last = last
        if self._batches:
            self._session.await_end(self)
        else:
            self.ended()

    def _free(self, last: bytes) -> None:
        self._done = True
        self._reservation = None
        self.held = False
        self._session.say(last)

    def _refuse(self, error: TrtasyncError) -> None:
        self._session.failed += 1
        self._free(self._failure(error))

    def _failure(self, error: TrtasyncError) -> bytes:
        told = dump(describe(error))
        return pack(Op.FAILED, self.number, self.generation, payload=told)

    # -- answers ---------------------------------------------------------------------------------

    def forget_answers(self) -> None:
        """The numbers of answers' shapes will mean others, or they lie elsewhere."""
        self._shape: Shape | None = None
        self._vector: Any = None
        self._known = 0

    def _answer(self, answer: Any) -> None:
        """Write an answer with other shapes than the last one here, or not a plain row."""
        try:
            if isinstance(answer, LentAnswer):
                with answer as lent:
                    self._deliver(lent, lent=True)
            else:
                self._deliver(answer, lent=False)
        except Exception as error:  # its own, be it memory
            self._refuse(unanswered(error))

    def _deliver(self, answer: Any, lent: bool) -> None:
        session = self._session
        outputs = list(answer.values()) if isinstance(answer, dict) else [answer]
        number, places = session.answers.number(outputs)
        memory = self.memory
        assert memory is not None
        assert self._form is not None
        self._form.lends = self._form.lends or places.size > LARGE_ANSWER_BYTES
        if self._start + places.size > len(memory):
            self._keep([output.copy() if lent else output for output in outputs], places.size)
            return
        for place, output in zip(places.each, outputs, strict=True):
            place.view(memory, self._start)[...] = output
        if len(outputs) == 1 and outputs[0].ndim == 1 and outputs[0].dtype.isbuiltin == 1:
            self._shape, self._known = outputs[0].shape, number
            self._vector = memoryview(cast(Any, places.each[0].view(memory, self._start)))
        self._free(pack(Op.DONE, self.number, self.generation, form=number))

    def _keep(self, outputs: list[Array], size: int) -> None:
        """Keep it until the client says where to write it."""
        self._kept_bytes = sum(output.nbytes for output in outputs)
        self._session.account.draw(self._kept_bytes)
        self._kept = outputs
        self._done = True
        self._reservation = None
        told = dump({"shapes": [output.shape for output in outputs]})
        self._session.say(pack(Op.LARGE, self.number, self.generation, number=size, payload=told))

    def _let_go(self) -> list[Array]:
        outputs, self._kept = self._kept or [], None
        self._session.account.give_back(self._kept_bytes)
        return outputs


def running(reservation: Reservation) -> list[Batch[Any]]:
    """The running batches with rows of a request."""
    entries: Sequence[Reservation | Chunk] = reservation.chunks or [reservation]
    batches = [entry.batch for entry in entries if entry.batch is not None]
    return [batch for batch in batches if batch.state is RUNNING]
