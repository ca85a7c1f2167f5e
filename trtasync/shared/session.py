"""What client and host have agreed on over one connection: forms, slots, who waits for what.

A request is written to a slot, said, and awaited: by `SharedEngine.infer` itself where it is one
small array, by `Session.ask` otherwise. What the host says is heard in `hearing`.
"""

import math
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

from trtasync.errors import DeviceLost, EngineClosed, EngineRestarting, TrtasyncError
from trtasync.loops import EventLoop, Future
from trtasync.model.arrays import Array, Shape
from trtasync.model.tensors import ModelSpec
from trtasync.requests.answers import LentAnswer
from trtasync.shared.connection import Connection
from trtasync.shared.credit import Credit
from trtasync.shared.form_book import FormBook
from trtasync.shared.hearing import Gone, Hearing
from trtasync.shared.records import NEVER, RECORD, Op
from trtasync.shared.records import pack as packed
from trtasync.shared.slots import Form, Slot, sources_of

INFER, SOURCE = int(Op.INFER), int(Op.SOURCE)

Wrap = Callable[[Future, Callable[[bytes], None]], Future]
"""Makes what stands for a future, and may say a record before that of the request."""


class Session:
    """A client's books of one connection. For the loop's own thread, but `credit`.

    Attributes:
        credit: its slots.
        forms: of its requests.
        quick: those of requests that were one bare array, by its shape: the hot path looks here.
        out: records of this turn of the loop.
        is_open: the host is there.
        future: makes what a request awaits.
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
        self.future: Callable[[], Future] = loop.future
        self._idle: list[Future] = []
        self._over: Callable[[], TrtasyncError] = lambda: ended("")
        self._hearing = Hearing(spec, self.credit, self.forms, self._say)
        self._connection = Connection(loop, end, self.credit.news, self._heard)

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

    def wrap(self, wrap: Wrap | None) -> None:
        """See `link.Link.wrap`."""
        future = self._loop.future
        self.future = future if wrap is None else lambda: wrap(future(), self._say_ahead)

    def _say_ahead(self, record: bytes) -> None:
        """What belongs to the request that is said next."""
        if not self.out:
            self.wake()
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

    async def ask(
        self, form: Form, arrays: Sequence[Array], level: int, deadline: float, copy: bool
    ) -> Any:
        """A request of any kind; what most are is asked by `SharedEngine.infer` itself.

        Args:
            form: of it.
            arrays: in the order of the inputs.
            level: of priority.
            deadline: by the loop's clock.
            copy: the answer; otherwise it is lent.

        Returns:
            the answer.

        Raises:
            WrongLoop: another loop is running.
            QueueFull: there is no memory for it.
            TrtasyncError: as the host says.
        """
        slot, sources = self._place(form, arrays)
        reply, record, is_said = None, b"", False
        lent: list[LentAnswer[Any]] = []
        try:
            if not sources:
                if slot.form is not form:
                    slot.turn(form)
                slot.write(arrays)
            if not copy:
                slot.lent, slot.plain = lent, False
            reply = self.future()
            if not self.out:
                self.wake()
            when = NEVER if deadline == math.inf else self.until(deadline)
            record = sources + RECORD.pack(
                INFER, level, form.number, slot.number, slot.generation, 0, when, 0
            )
            slot.asked = form
            slot.reply = reply
            self.out.append(record)
            is_said = True
            return await reply
        except BaseException:
            for answer in lent:  # it has come, and nobody gets it
                answer.release()
            self.leave(slot, reply, record, is_said)
            raise

    def _place(self, form: Form, arrays: Sequence[Array]) -> tuple[Slot, bytes]:
        """A slot for such a request, and the records that say where its arrays lie: b"" where they
        are to be written to the slot.

        Raises:
            QueueFull: see `more`.
        """
        sources = sources_of(arrays) if form.large else ()
        if not sources:
            return self.more(form), b""
        records = b""
        for index, (owner, start) in enumerate(sources):
            records += RECORD.pack(SOURCE, 0, index, 0, 0, 0, owner.slot.number, start)
        try:
            slot = form.answers.pop()
        except IndexError:
            slot = self.credit.take(form.answer_bytes)
        slot.turn_to_answer(form.plain)
        slot.sources = sources
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
            slot.free_up()
        elif not awaited:
            slot.free_up()
        elif slot.reply is reply:
            slot.reply = None
            if self.is_open:
                self._say(packed(Op.CANCEL, slot.number, slot.generation))

    @property
    def pongs(self) -> int:
        """How often the host has answered a `ping`."""
        return self._hearing.pongs

    def ping(self) -> None:
        """Ask whether the host's event loop still turns."""
        self._say(packed(Op.PING))

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
            self.lose("")
            return
        try:
            self._hearing.hear(data)
        except Gone as gone:
            self.lose(str(gone), was_told=isinstance(gone.error, EngineClosed))
        except Exception as error:
            self.lose(f"it said what nobody says ({error!r})")
        self._loop.wake()  # behind those who are answered now: what they ask next goes out at once
        if self._idle:
            self._tell_idle()

    def lose(self, reason: str, was_told: bool = False) -> None:
        """The host is gone, or as good as gone.

        Args:
            reason: why, if that is known.
            was_told: it said so, after it had answered all that it took.
        """
        self.end(not_taken if was_told else lambda: ended(reason))
        self._lost(reason)


def ended(reason: str) -> DeviceLost:
    """What requests fail with whose host is gone, or as good as gone."""
    said = f": {reason.rstrip('.')}" if reason else ""
    return DeviceLost(
        f"the engine's process was lost under this request{said}; it was not tried again."
    )


def not_taken() -> EngineRestarting:
    """What requests fail with that their host left unread when it ended as it should."""
    return EngineRestarting(
        "the engine's process ended before it took this request; try again when there is another "
        "one, or have requests wait for it (reconnect=)."
    )
