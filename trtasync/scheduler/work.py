"""What the policy moves about: requests, the batches they are in, the queues they belong to."""

import math
from bisect import bisect_left
from collections.abc import Collection, Sequence
from typing import Any, Protocol

from trtasync.scheduler.cost import CostCurve
from trtasync.scheduler.waiting import WaitingLine, urgency

LEVELS = 9
DEFAULT_LEVEL = 5


def padded(rows: int, sizes: Sequence[int]) -> int:
    """The smallest of the (ascending) allowed sizes that holds so many rows; `rows` if any is."""
    return sizes[bisect_left(sizes, rows)] if sizes else rows


class SlotLike(Protocol):
    """All the policy knows of a slot: whose it is (None: nobody's, any lane runs it). Every lane on
    the device of that one runs it, that one best."""

    lane: int | None


class SignatureLike(Protocol):
    """What the policy reads of a request's signature."""

    queue: Any
    rows: int


class Signature:
    """A queue and a number of rows."""

    __slots__ = ("queue", "rows")

    def __init__(self, queue: "Queue", rows: int):
        self.queue = queue
        self.rows = rows


class Request:
    """One request: `rows` rows of a queue, to be computed together or in chunks.

    Attributes:
        signature: its queue and its number of rows.
        level: priority, 1 (first) to 9 (last).
        deadline: when its caller gives up (the policy's clock; inf for never).
        arrival: when it came.
        batch: the batch it is staged in whole, or None.
        row: its first row there.
        chunks: its pieces, when it was split over batches.
        placed: rows staged so far, when it was split.
        gone: withdrawn: nobody wants the answer any more, or it was left uncomputed.
        expired: left uncomputed because it cannot make its deadline; its caller still waits.
    """

    # One is made per request: what few requests need is a class attribute until it is set, and
    # queue and rows are read through the signature, which requests of one shape share.
    __slots__ = ("__dict__", "arrival", "batch", "row", "signature")

    level = DEFAULT_LEVEL
    deadline = math.inf
    chunks: "list[Chunk] | None" = None
    placed = 0
    gone = False
    expired = False

    def __init__(
        self,
        queue: "Queue",
        rows: int = 1,
        level: int = DEFAULT_LEVEL,
        deadline: float = math.inf,
        arrival: float = 0.0,
    ):
        self.signature: SignatureLike = Signature(queue, rows)
        self.level = level
        self.deadline = deadline
        self.arrival = arrival
        self.batch: Batch | None = None
        self.row = 0

    def mend(self) -> bool:
        """Count anew how far it is placed; False if it waits no more."""
        self.placed = sum(chunk.rows for chunk in self.chunks or ())
        staged = self.batch is not None and self in self.batch.entries
        return not (self.gone or staged or self.placed == self.rows)

    @property
    def queue(self) -> "Queue":
        """The requests it may share a batch with."""
        queue: Queue = self.signature.queue
        return queue

    @property
    def rows(self) -> int:
        """Rows of the batch axis."""
        return self.signature.rows

    @property
    def stays(self) -> bool:
        """It was placed to the end, and somebody waits for it."""
        return not self.gone

    @property
    def begun(self) -> bool:
        """A part of it runs or has run."""
        return any(chunk.batch is not None and chunk.batch.running for chunk in self.chunks or ())


class Chunk:
    """A piece of a split request: its rows `offset` to `offset + rows`, staged in one batch."""

    __slots__ = ("batch", "deadline", "gone", "offset", "placed", "row", "rows", "whole")

    def __init__(self, whole: Request, offset: int, rows: int):
        self.whole = whole
        self.offset = offset
        self.rows = rows
        self.deadline = whole.deadline
        self.batch: Batch | None = None
        self.row = 0
        self.placed = 0
        self.gone = False

    def mend(self) -> bool:
        """False if it waits no more."""
        return not (self.gone or (self.batch is not None and self in self.batch.entries))

    @property
    def stays(self) -> bool:
        """It was placed to the end, and somebody waits for it."""
        return not self.gone and self in (self.whole.chunks or ())

    @property
    def arrival(self) -> float:
        """When the whole request came."""
        return self.whole.arrival

    @property
    def level(self) -> int:
        """The whole request's priority."""
        return self.whole.level


Entry = Request | Chunk


class Batch:
    """Rows of one queue in one slot: first forming, then running.

    Attributes:
        queue: whose rows.
        slot: where they lie.
        write: what stages rows there (set by the engine when the first row comes, like `vectors`).
        vectors: per row, where a plain request is assigned to, if it can be.
        entries: in row order; may hold withdrawn ones until the batch is closed.
        size: rows staged, withdrawn ones included: the next free row.
        gone: of these, rows withdrawn.
        level: the best priority in it.
        arrival: of its first row.
        deadline: the earliest in it.
        plain: every request in it has the simplest form; the engine clears it, and every part of a
            split request does.
        run_rows: rows to run (`size`, padded up to an allowed batch size), once launched.
        moves: (source, target, count) row moves to make before the launch.
        lane: index of the lane it runs on, once launched.
        started: when it was launched.
        began: when nothing was before it on its lane any more.
        share: what its device's clock said then (see `DeviceState`).
        pressure: how much of its device it keeps busy, 0 to 1.
    """

    __slots__ = (
        "arrival",
        "began",
        "deadline",
        "entries",
        "gone",
        "lane",
        "level",
        "moves",
        "plain",
        "pressure",
        "queue",
        "run_rows",
        "running",
        "share",
        "size",
        "slot",
        "started",
        "vectors",
        "write",
    )

    def __init__(self, queue: "Queue", slot: Any):
        self.queue = queue
        self.slot = slot
        self.write: Any = None
        self.vectors: Any = None
        self.plain = True
        self.moves: list[tuple[int, int, int]] = []
        self.lane = -1
        self.run_rows = 0
        self.running = False
        self.started = self.began = self.share = self.pressure = 0.0
        self.entries: list[Any] = []
        self.size = 0
        self.gone = 0
        self.level = LEVELS
        self.arrival = math.inf
        self.deadline = math.inf

    def clear(self) -> None:
        """Take every row out."""
        self.entries = []
        self.size = 0
        self.gone = 0
        self.level = LEVELS
        self.arrival = math.inf
        self.deadline = math.inf

    @property
    def rows(self) -> int:
        """Rows somebody waits for."""
        return self.size - self.gone

    @property
    def urgency(self) -> float:
        """That of its most urgent row; the smaller goes first."""
        return urgency(self.level, self.arrival, self.deadline)

    def add(self, entry: Entry) -> None:
        """Stage an entry at the next free row; there must be room."""
        if type(entry) is Chunk:
            self.plain = False
        entry.batch = self
        entry.row = self.size
        self.entries.append(entry)
        self.size += entry.rows
        self.level = min(self.level, entry.level)
        self.arrival = min(self.arrival, entry.arrival)
        self.deadline = min(self.deadline, entry.deadline)

    def mend(self) -> bool:
        """Count anew, without what is gone or half placed; False if nothing is left."""
        self.entries = [entry for entry in self.entries if entry.stays]
        self.size = max([self.size, *(entry.row + entry.rows for entry in self.entries)])
        self.gone = self.size - sum(entry.rows for entry in self.entries)
        return bool(self.entries)

    def cut(self, first: int) -> list[Entry]:
        """Take out and give back the entries from index `first` on."""
        entries, rest = self.entries[:first], self.entries[first:]
        self.clear()
        for entry in entries:
            self.add(entry)
        return rest

    def compact(self) -> None:
        """Close up over withdrawn rows, noting the moves that the slot has to make."""
        self.keep([entry for entry in self.entries if not entry.gone])

    def keep(self, kept: Collection[Entry]) -> list[Entry]:
        """Take out and give back all others, and close up over them and over withdrawn rows."""
        staying = set(kept)
        rest = [entry for entry in self.entries if not entry.gone and entry not in staying]
        entries = [entry for entry in self.entries if entry in staying]
        self.clear()
        for entry in entries:
            if entry.row != self.size:
                self.moves.append((entry.row, self.size, entry.rows))
            self.add(entry)
        return rest


class Queue:
    """Requests that can share a batch: one row shape.

    Attributes:
        layout: what the engine knows the shape by; the policy never looks.
        cost: learned t(batch).
        forming: its batch with room, or None.
        waiting: requests for which no slot was free.
        turn: serial of its current place among the queues that wait for a slot; 0 if it has none.
    """

    __slots__ = ("cost", "forming", "layout", "turn", "waiting")

    def __init__(self, layout: Any = None):
        self.layout = layout
        self.cost = CostCurve()
        self.forming: Batch | None = None
        self.waiting = WaitingLine()
        self.turn = 0


class LaneState:
    """What the policy keeps of a lane.

    Attributes:
        index: which.
        device: which device it shares.
        depth: batches it takes at once.
        running: batches in flight on it, in order.
        alive: False once it died.
        held: batches its worker thread runs again in halves; nothing is launched meanwhile.
    """

    __slots__ = ("alive", "depth", "device", "held", "index", "running")

    def __init__(self, index: int, device: int = 0, depth: int = 1):
        self.index = index
        self.device = device
        self.depth = depth
        self.running: list[Batch] = []
        self.alive = True
        self.held = 0

    @property
    def free(self) -> bool:
        """It takes another batch."""
        return self.alive and not self.held and len(self.running) < self.depth

    def ends_at(self, now: float) -> float:
        """When its last batch is predicted to be done (now, when it is idle)."""
        end = now
        for index, batch in enumerate(self.running):
            start = batch.started if index == 0 else max(end, batch.started)
            end = start + batch.queue.cost.seconds(batch.run_rows)
        return max(now, end)
