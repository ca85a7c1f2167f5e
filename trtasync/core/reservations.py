"""What a request holds: rows to write, and then the request itself."""

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
    """Rows for one request, and then the request itself.

    Made by `Intake.reserve`, and then exactly one of `commit` and `drop` ends it. What
    `Engine.infer` hands to `Intake.enter` is one too, without the methods that need the intake.

    Attributes:
        signature: what is known of the request from its shapes.
        intake: which let it in.
        source: what is staged, rows first; None while it lies nowhere but in the rows.
        reply: who is told how it ended.
        on_device: device arrays that the answer is written to, when it stays on the device.
        lend: the answer may be views of the slot's memory.
        unusual: its answer is not a copy of its rows: one of the two.
        lent: the answer, if it is such views.
        refused: why it lost its place before it was committed.
        handed_out: its rows were asked for, to be written.
        draft: what was written, where that is not in the rows.
        pieces: outputs of its chunks, by the row they begin with.
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
        """Where the content goes: per row input, its rows, batch axis first.

        Valid until control returns to the event loop, and to be asked for again then: rows of a
        batch that goes meanwhile are moved. What is padded or arranged otherwise inside a batch is
        written to memory of its own, and copied when it is complete.
        """
        self.handed_out = True
        # who lost the place is told by `commit`; the rows may be somebody else's by now
        batch = None if self.state is OVER else self.batch
        if self.draft is None and batch is not None and self.signature.lies_as_given:
            views = self.intake.views(batch)
            return [array[self.row : self.row + self.signature.rows] for array in views.inputs]
        if self.draft is None:
            self.draft = self.signature.blank()
        return self.draft if isinstance(self.draft, tuple) else (self.draft,)

    def write(self, content: Staged) -> None:
        """The whole content, to be read until the answer is here.

        The rows are fresh: nobody had them before in this batch.

        Args:
            content: rows first: an array, or, for several row inputs, a tuple of them.

        Raises:
            BaseException: what reading it raises.
        """
        self.source = content
        self.intake.written(self)

    def commit(self, reply: Reply) -> None:
        """The content is complete: from now on the request counts, and `reply` is told.

        Raises:
            InvalidInput: nothing was written: the rows may hold what others left there.
            QueueFull: a more urgent request took its place meanwhile.
            EngineClosed, DeviceLost: the engine ended meanwhile.
        """
        if self.batch is None or self.source is None or self.arrival != self.intake.stamp:
            self.intake.commit_late(self, reply)
            return
        self.reply = reply
        self.state = TRANSITIONS[self.state][COMMIT]

    def drop(self) -> None:
        """Nobody wants the rows any more. After `commit`, or twice: nothing happens."""
        if self.state is RESERVED:
            self.intake.drop(self)

    def rows_of(self, chunk: Chunk) -> Staged:
        """What is staged for one chunk of a split request."""
        assert self.source is not None
        rows = slice(chunk.offset, chunk.offset + chunk.rows)
        if isinstance(self.source, tuple):
            return tuple(array[rows] for array in self.source)
        return self.source[rows]


def reservation_of(entry: Entry) -> Reservation:
    """The reservation that an entry of a batch is, or is a chunk of."""
    return cast(Reservation, entry.whole if type(entry) is Chunk else entry)
