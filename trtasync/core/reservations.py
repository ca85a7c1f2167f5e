"""What a request holds: rows that it may write until it is committed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from trtasync.core.replies import Reply
from trtasync.errors import TrtasyncError
from trtasync.model.arrays import Array
from trtasync.requests.answers import LentAnswer
from trtasync.requests.signature import Signature, Staged
from trtasync.runtimes import Slot
from trtasync.scheduler import Batch, Chunk, Queue, Request
from trtasync.scheduler.requests import Entry
from trtasync.scheduler.states import COMMIT, OVER, RESERVED, TRANSITIONS, State

if TYPE_CHECKING:
    from trtasync.core.intake import Intake


class Reservation(Request):
    """Rows held for one request, and from `commit` on the request itself.

    `Intake.reserve` makes it; exactly one of `commit` and `drop` then ends the reserving. The one
    that `Engine.infer` passes to `Intake.enter` has no `intake`, nor the methods that need it.

    Attributes:
        signature: what is known of the request from its shapes.
        intake: the intake that made it.
        source: the content to stage, rows first; None while the content is only in the rows.
        reply: receives the outcome.
        on_device: device arrays that the answer is written to; None if it goes to the host.
        lend: the answer may be views of the slot's memory.
        unusual: `lend` or `on_device` is set: the answer is not a plain copy of its rows.
        lent: the answer, once views of the slot's memory were lent.
        refused: why it lost its place before it was committed.
        handed_out: `rows_to_write` was called.
        draft: content that was written outside the rows.
        pieces: outputs of its chunks, by their first row.
    """

    __slots__ = ("intake", "reply", "source")

    state: State
    signature: Signature[Queue]
    batch: Batch[Slot] | None
    intake: "Intake"
    reply: Reply
    source: Staged | None
    on_device: Sequence[Any] | None = None
    lend: bool = False
    unusual: bool = False
    lent: LentAnswer[Any] | None = None
    refused: TrtasyncError | None = None
    pieces: dict[int, list[Array]] | None = None
    handed_out: bool = False
    draft: Staged | None = None

    if TYPE_CHECKING:

        def __init__(self) -> None: ...
    else:
        # Empty until `Intake` fills it: an `__init__` of its own costs every request a call.
        __init__ = object.__init__

    def rows_to_write(self) -> Sequence[Array]:
        """Return the arrays to write the content to: per row input, its rows, batch axis first.

        They are valid until control returns to the event loop; ask again after that, as the content
        moves if its batch is launched without it. Content that is padded or rearranged in a batch
        is written to memory of its own, and copied when it is complete.
        """
        self.handed_out = True
        # a request that lost its place learns so by `commit`; its rows may be another's by now
        batch = None if self.state is OVER else self.batch
        if self.draft is None and batch is not None and self.signature.lies_as_given:
            views = self.intake.views(batch)
            return [array[self.row : self.row + self.signature.rows] for array in views.inputs]
        if self.draft is None:
            self.draft = self.signature.blank()
        return self.draft if isinstance(self.draft, tuple) else (self.draft,)

    def write(self, content: Staged) -> None:
        """Give the whole content, which must not change until the answer has arrived.

        The rows are fresh: no other request has held them in this batch.

        Args:
            content: rows first: an array, or, for several row inputs, a tuple of them.

        Raises:
            BaseException: whatever reading it raises.
        """
        self.source = content
        self.intake.written(self)

    def commit(self, reply: Reply) -> None:
        """Declare the content complete: the request is queued, and `reply` gets its outcome.

        Raises:
            InvalidInput: nothing was written: the rows may hold another request's content.
            QueueFull: a more urgent request took its place meanwhile.
            EngineClosed, DeviceLost: the engine ended meanwhile.
        """
        if self.batch is None or self.source is None or self.arrival != self.intake.stamp:
            self.intake.commit_late(self, reply)
            return
        self.reply = reply
        self.state = TRANSITIONS[self.state][COMMIT]

    def drop(self) -> None:
        """Give up the rows. After `commit`, or when called twice, nothing happens."""
        if self.state is RESERVED:
            self.intake.drop(self)

    def rows_of(self, chunk: Chunk) -> Staged:
        """Return the content of one chunk of a split request."""
        assert self.source is not None
        rows = slice(chunk.offset, chunk.offset + chunk.rows)
        if isinstance(self.source, tuple):
            return tuple(array[rows] for array in self.source)
        return self.source[rows]


def reservation_of(entry: Entry) -> Reservation:
    """The reservation that an entry of a batch is, or is a chunk of."""
    return cast(Reservation, entry.whole if type(entry) is Chunk else entry)
