"""Requests, and the chunks of those that are split over several batches."""

import math
from typing import TYPE_CHECKING, Protocol, TypeAlias

from trtasync.scheduler.states import FORMING, OVER, QUEUED, RESERVED, State

if TYPE_CHECKING:
    from trtasync.scheduler.batches import Batch
    from trtasync.scheduler.queues import Queue
    from trtasync.scheduler.slot_pool import SlotLike

LEVELS = 9
DEFAULT_LEVEL = 5


class Signature(Protocol):
    """What requests of one shape share."""

    @property
    def queue(self) -> "Queue":
        """Their queue: requests of one queue can share batches."""

    @property
    def rows(self) -> int:
        """Rows of the batch axis."""


class Request:
    """One request: `rows` rows of a queue, to be computed together or in chunks.

    Attributes:
        signature: its queue and its number of rows.
        state: see `states`.
        level: priority, 1 (first) to 9 (last).
        deadline: when its caller gives up (the scheduler's clock; inf for never).
        arrival: when it arrived.
        batch: the batch that holds all of its rows, or None.
        row: its first row there.
        chunks: its pieces, if it was split over batches.
        placed: the number of rows that the chunks hold.
    """

    # One is created per request: what few of them need is a class attribute until it is set, and
    # queue and rows are read through the signature, which requests of one shape share.
    __slots__ = ("__dict__", "arrival", "batch", "row", "signature", "state")

    signature: Signature
    state: State
    arrival: float
    batch: "Batch[SlotLike] | None"
    row: int
    level: int = DEFAULT_LEVEL
    deadline: float = math.inf
    chunks: "list[Chunk] | None" = None
    placed: int = 0

    def __init__(
        self,
        signature: Signature,
        level: int = DEFAULT_LEVEL,
        deadline: float = math.inf,
        arrival: float = 0.0,
    ):
        """A request whose content is complete."""
        self.signature = signature
        self.state = QUEUED
        self.level = level
        self.deadline = deadline
        self.arrival = arrival
        self.batch = None
        self.row = 0

    @property
    def queue(self) -> "Queue":
        """Its queue."""
        return self.signature.queue

    @property
    def rows(self) -> int:
        """Rows of the batch axis."""
        return self.signature.rows

    @property
    def begun(self) -> bool:
        """Whether a chunk of it is running or has run."""
        return any(chunk.begun for chunk in self.chunks or ())

    @property
    def stays(self) -> bool:
        """Whether it keeps its rows after an interruption."""
        return self.state in (RESERVED, QUEUED)

    def mend(self) -> bool:
        """Recount how much of it is placed; False if it no longer waits."""
        self.placed = sum(chunk.rows for chunk in self.chunks or ())
        staged = self.batch is not None and self in self.batch.entries
        return self.state is QUEUED and not staged and self.placed < self.rows


class Chunk:
    """A piece of a split request: its rows `offset` to `offset + rows`, in one batch."""

    __slots__ = ("batch", "deadline", "offset", "placed", "row", "rows", "state", "whole")

    def __init__(self, whole: Request, offset: int, rows: int):
        self.whole: Request = whole
        self.offset: int = offset
        self.rows: int = rows
        self.deadline: float = whole.deadline
        self.state: State = QUEUED
        self.batch: Batch[SlotLike] | None = None
        self.row: int = 0
        self.placed: int = 0

    @property
    def arrival(self) -> float:
        """When the whole request arrived."""
        return self.whole.arrival

    @property
    def level(self) -> int:
        """The whole request's priority."""
        return self.whole.level

    @property
    def begun(self) -> bool:
        """Whether it is running or has run."""
        return self.batch is not None and self.batch.state is not FORMING

    @property
    def stays(self) -> bool:
        """Whether it survives an interruption: its request knows it, and somebody waits for it."""
        return self.state is QUEUED and self in (self.whole.chunks or ())

    def mend(self) -> bool:
        """False if it no longer waits."""
        staged = self.batch is not None and self in self.batch.entries
        return self.state is QUEUED and not staged


Entry: TypeAlias = Request | Chunk


def whole(entry: Entry) -> Request:
    """The request that a batch's entry is, or is a chunk of."""
    return entry.whole if isinstance(entry, Chunk) else entry


def give_up(request: Request) -> None:
    """End it, whatever its state, with all its chunks."""
    request.state = OVER
    for chunk in request.chunks or ():
        chunk.state = OVER
