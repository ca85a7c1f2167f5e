"""Batches: rows of one queue in one slot."""

import math
from collections.abc import Collection
from typing import Generic, TypeVar

from trtasync.scheduler.queues import Queue, urgency
from trtasync.scheduler.requests import LEVELS, Chunk, Entry, Request
from trtasync.scheduler.slot_pool import SlotLike
from trtasync.scheduler.states import FORMING, QUEUED, State

SlotT_co = TypeVar("SlotT_co", bound=SlotLike, covariant=True)


class Batch(Generic[SlotT_co]):
    """Rows of one queue in one slot: first forming, then running.

    Attributes:
        queue: whose rows.
        slot: where they lie.
        state: see `states`.
        entries: in row order; may hold some that left, until the batch is closed.
        size: rows taken, those of entries that left included: the next free row.
        gone: of these, rows of entries that left.
        room: the size up to which plain requests simply take the next row, while nothing about them
            is to be asked; 0 otherwise. See `RowAllocator.open_up`.
        level: the best priority in it.
        arrival: of its first row.
        deadline: the earliest in it.
        plain: every request in it has the simplest form; the engine clears it, and every chunk of a
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
        "room",
        "run_rows",
        "share",
        "size",
        "slot",
        "started",
        "state",
    )

    def __init__(self, queue: Queue, slot: SlotT_co):
        self.queue: Queue = queue
        self.slot: SlotT_co = slot
        self.state: State = FORMING
        self.plain: bool = True
        self.moves: list[tuple[int, int, int]] = []
        self.lane: int = -1
        self.run_rows: int = 0
        self.started: float = 0.0
        self.began: float = 0.0
        self.share: float = 0.0
        self.pressure: float = 0.0
        self.entries: list[Entry] = []
        self.size: int = 0
        self.gone: int = 0
        self.room: int = 0
        self.level: int = LEVELS
        self.arrival: float = math.inf
        self.deadline: float = math.inf

    def clear(self) -> None:
        """Take every row out."""
        self.entries = []
        self.size = self.gone = 0
        self.level = LEVELS
        self.arrival = self.deadline = math.inf

    @property
    def rows(self) -> int:
        """Rows somebody waits for."""
        return self.size - self.gone

    @property
    def urgency(self) -> float:
        """That of its most urgent row; the smaller goes first."""
        return urgency(self.level, self.arrival, self.deadline)

    def add(self, entry: Entry) -> None:
        """Give an entry the next free rows; there must be room."""
        if type(entry) is Chunk:
            self.plain = False
        entry.batch = self
        entry.row = self.size
        self.entries.append(entry)
        self.size += entry.rows
        self.level = min(self.level, entry.level)
        self.arrival = min(self.arrival, entry.arrival)
        self.deadline = min(self.deadline, entry.deadline)

    def leave_out(self, request: Request) -> None:
        """Take a request out whose content is not complete; its rows stay empty."""
        self.entries.remove(request)
        self.gone += request.rows
        request.batch = None

    def mend(self) -> bool:
        """Count anew, without what is gone or half placed; False if nothing is left."""
        self.entries = [entry for entry in self.entries if entry.stays]
        self.size = max([self.size, *(entry.row + entry.rows for entry in self.entries)])
        self.gone = self.size - sum(entry.rows for entry in self.entries)
        self.room = 0
        return bool(self.entries)

    def cut(self, first: int) -> list[Entry]:
        """Take out and give back the entries from index `first` on, in the rows they lie in."""
        entries, rest = self.entries[:first], self.entries[first:]
        sources = {target: source for source, target, _ in self.moves}  # not made yet
        for entry in rest:
            entry.row = sources.get(entry.row, entry.row)
        self.clear()
        for entry in entries:
            self.add(entry)
        self.moves = [move for move in self.moves if move[1] < self.size]
        return rest

    def compact(self) -> None:
        """Close up over rows of those who left, noting the moves that the slot has to make."""
        self.keep([entry for entry in self.entries if entry.state is QUEUED])

    def keep(self, kept: Collection[Entry]) -> list[Entry]:
        """Take out and give back all others, and close up over them and over rows left empty."""
        staying = set(kept)
        rest = [entry for entry in self.entries if entry.state is QUEUED and entry not in staying]
        entries = [entry for entry in self.entries if entry in staying]
        self.clear()
        for entry in entries:
            if entry.row != self.size:
                self.moves.append((entry.row, self.size, entry.rows))
            self.add(entry)
        return rest
