"""Requests that an engine has, and the outcomes that they receive from it."""

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
    """Waits for the outcomes of requests."""

    def answered(self, request: "Asked") -> None:
        """A request has its outcome. Called from inside the engine's work, so just note it."""


class Asked:
    """One request; to the engine it is a `core.replies.Reply`.

    Each request has one of its own: the late outcome of an earlier request of the same connection,
    in a batch that still runs, can never be taken for its answer.

    Attributes:
        head: of the request.
        plan: of the request.
        id: as JSON; empty for none.
        bare: the engine was given a row without batch axis, and its result has none either.
        result: from the engine; None as long as there is none.
        reservation: its reservation, for an engine of this process; None once it is over.
        task: the task that submits it to any other engine; None if there is none.
        timer: ends it when its timeout has passed; None without a timeout.
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
        """`asker` is told when it is over."""
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
        """Whether it was given up by `leave`."""
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
        self.reservation = self.task = None  # they refer to this: a cycle
        if self.timer is not None:
            self.timer.cancel()
        self._asker.answered(self)

    def read(self) -> Answer:
        """The answer to it; to be called once, when it is over. Raises why there is none."""
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # it refers to this frame, and so to the request: a cycle
        return self._desk.answer(self) if self._answer is None else self._answer

    def compose(self) -> None:
        """Prepare what `read` returns or raises. In a thread, if it takes long."""
        try:
            self._answer = self._desk.answer(self)
        except Exception as error:  # `read` raises it
            self._error = error

    def is_large(self) -> bool:
        """Whether the answer to it takes too long to write on the loop."""
        return bool(self.plan.in_json) and self._error is None and self._desk.is_large(self)

    def leave(self) -> None:
        """Give it up: rows that are not running yet are never computed."""
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
    """A request whose engine has an observer. The observer is told that it is over when its answer
    is about to be written, and so after it is told of the batch.

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
