"""A request that the engine has, and what becomes of it: whom the engine answers."""

from asyncio import CancelledError, InvalidStateError, Task, TimerHandle
from typing import TYPE_CHECKING, Any, Protocol

from trtasync.core.records import Observed, Observer
from trtasync.core.reservations import Reservation
from trtasync.server.fast.heads import Head
from trtasync.server.protocol.answers import Answer
from trtasync.server.protocol.requests import Plan

if TYPE_CHECKING:
    from trtasync.server.fast.desk import Desk


class Asker(Protocol):
    """Who waits for answers, and is told at the end of the turn in which they came."""

    def answered(self, request: "Asked") -> None:
        """The engine has done with a request."""


class Asked:
    """See the module's docstring; to the engine it is a `core.replies.Reply`.

    A request has one of its own: what is left of an earlier one of the same connection, in a batch
    that runs, can never be taken for its answer.

    Attributes:
        head: of the request.
        plan: likewise.
        id: as JSON; empty for none.
        bare: the engine was given a row without batch axis, and answers so.
        result: from the engine; None before it, and where there is none.
        reservation: by which an engine knows it; None when it has done with it.
        task: that asks another engine; None if none does.
        timer: ends it when its timeout has passed; None without one.
    """

    __slots__ = (
        "_answer",
        "_asker",
        "_cancelled",
        "_desk",
        "_error",
        "_over",
        "bare",
        "head",
        "id",
        "plan",
        "reservation",
        "result",
        "task",
        "timer",
    )

    def __init__(self, asker: Asker, desk: "Desk", head: Head, plan: Plan, id: bytes):
        """Of `asker`, who is told when it is over."""
        self._asker = asker
        self._desk = desk
        self._error: BaseException | None = None
        self._answer: Answer | None = None
        self._cancelled = self._over = False
        self.head: Head = head
        self.plan: Plan = plan
        self.id: bytes = id
        self.bare: bool = False
        self.result: Any = None
        self.reservation: Reservation | None = None
        self.task: Task[None] | None = None
        self.timer: TimerHandle | None = None

    def done(self) -> bool:
        """See `Reply.done`."""
        return self._over

    def cancelled(self) -> bool:
        """Nobody wanted the answer any more."""
        return self._cancelled

    def set_result(self, result: Any, /) -> None:
        """See `Reply.set_result`."""
        self._end()
        self.result = result

    def set_exception(self, error: BaseException, /) -> None:
        """See `Reply.set_exception`."""
        self._end()
        self._error = error

    def _end(self) -> None:
        if self._over:
            raise InvalidStateError
        self._over = True
        self.reservation = self.task = None  # which know this: a cycle
        if self.timer is not None:
            self.timer.cancel()
        self._asker.answered(self)

    def read(self) -> Answer:
        """The answer to it, when it has ended; once. Raises why there is none."""
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # it knows this frame, and keeps it and the request: a cycle
        return self._desk.answer(self) if self._answer is None else self._answer

    def compose(self) -> None:
        """Have ready what `read` gives or raises. In a thread, if it takes long."""
        try:
            self._answer = self._desk.answer(self)
        except Exception as error:  # whatever it is, it belongs to who reads
            self._error = error

    def is_large(self) -> bool:
        """The answer to it takes too long to write for the loop."""
        return bool(self.plan.in_json) and self._error is None and self._desk.is_large(self)

    def leave(self) -> None:
        """Nobody wants the answer any more: what is not running is never computed."""
        if self._over:
            return
        self._over = self._cancelled = True
        if self.timer is not None:
            self.timer.cancel()
        reservation, self.reservation = self.reservation, None
        if reservation is not None:
            reservation.intake.leave(reservation, CancelledError())
        if self.task is not None:
            self.task.cancel()


class ObservedAsked(Asked):
    """One whose engine has an observer, who is told of it when its answer is about to be written:
    the observer hears of the batch before that.

    Attributes:
        observed: what the observer knows it by.
    """

    __slots__ = ("observed",)

    def __init__(
        self, observer: Observer, asker: Asker, desk: "Desk", head: Head, plan: Plan, id: bytes
    ):
        """See `Asked`."""
        super().__init__(asker, desk, head, plan, id)
        self.observed: Observed = observer.begin()

    def read(self) -> Answer:
        """See `Asked.read`."""
        try:
            answer = super().read()
        except Exception as error:
            self.observed.end(error)
            raise
        self.observed.end(None)
        return answer

    def leave(self) -> None:
        """See `Asked.leave`."""
        super().leave()
        self.observed.end(CancelledError())
