"""Batches, and which of their rows belong to which request."""

import math
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Generic, TypeVar

from trtasync.scheduler.fits import Fit
from trtasync.scheduler.queues import Queue, StarvedQueues, urgency
from trtasync.scheduler.requests import LEVELS, Chunk, Entry, Request
from trtasync.scheduler.slot_pool import SlotLike, SlotPool, SlotT
from trtasync.scheduler.states import END, FORMING, QUEUED, RESERVED, TRANSITIONS, State

SlotT_co = TypeVar("SlotT_co", bound=SlotLike, covariant=True)


class Batch(Generic[SlotT_co]):
    """Rows of one queue in one slot: first forming, then running.

    Attributes:
        queue: the queue of its rows.
        slot: the slot that holds them.
        state: see `states`.
        entries: in row order; may include some that left, until the batch is closed.
        size: rows taken, including those of entries that left; also the next free row.
        gone: how many of these belong to entries that left.
        room: the size up to which plain requests simply take the next row without asking the
            policy; 0 otherwise. See `RowAllocator.open_up`.
        level: the best priority in it.
        arrival: when its first row arrived.
        deadline: the earliest in it.
        plain: every request in it has the simplest form; cleared by the engine, and by every chunk
            of a split request.
        run_rows: rows to run (`size`, padded up to an allowed batch size), once launched.
        moves: (source, target, count) row moves to make before the launch.
        lane: index of the lane it runs on, once launched.
        started: when it was launched.
        began: when it became first in line on its lane.
        share: the reading of its device's clock then (see `DeviceState`).
        pressure: the fraction of its device that it keeps busy, 0 to 1.
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
        """The number of rows that callers are waiting for."""
        return self.size - self.gone

    @property
    def urgency(self) -> float:
        """The urgency of its most urgent row; smaller goes first."""
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
        """Take out a request whose content is incomplete; its rows stay empty."""
        self.entries.remove(request)
        self.gone += request.rows
        request.batch = None

    def mend(self) -> bool:
        """Recount, without what is gone or half placed; False if nothing is left."""
        self.entries = [entry for entry in self.entries if entry.stays]
        self.size = max([self.size, *(entry.row + entry.rows for entry in self.entries)])
        self.gone = self.size - sum(entry.rows for entry in self.entries)
        self.room = 0
        return bool(self.entries)

    def compact(self) -> None:
        """Close the gaps of entries that left, recording the moves that the slot has to make."""
        self.keep([entry for entry in self.entries if entry.state is QUEUED])

    def keep(self, kept: Collection[Entry]) -> list[Entry]:
        """Remove and return all other entries, and close the gaps of these and of empty rows."""
        staying = set(kept)
        rest = [entry for entry in self.entries if entry.state is QUEUED and entry not in staying]
        entries = [entry for entry in self.entries if entry in staying]
        self.clear()
        for entry in entries:
            if entry.row != self.size:
                self.moves.append((entry.row, self.size, entry.rows))
            self.add(entry)
        return rest


class RowAllocator(Generic[SlotT]):
    """Gives requests their rows: in the forming batch, in a free slot, or when one becomes free.

    Attributes:
        forming: batches in slots, not launched yet.
        placements: entries that got their rows outside `hold`, still to be staged; oldest first.
        slots: all of them.
        taken: rows that wait or form, plus the open room of batches.
    """

    def __init__(
        self,
        capacity: int,
        slots: SlotPool[SlotT],
        outlook: Callable[[Batch[SlotT], float], Fit],
        turn_away: Callable[[Request, Fit, float], bool],
        set_aside: Callable[[Request, Batch[SlotT]], None],
        keep_content: Callable[[Entry], None],
    ):
        """Start empty.

        Args:
            capacity: rows of a slot.
            slots: all of them, free.
            outlook: tells how waiting requests would fit into a batch just opened for them.
            turn_away: called before a waiting request gets its rows: True if it was disposed of
                instead.
            set_aside: takes over an incomplete request that loses its rows in a batch.
            keep_content: called with an entry before it moves to other rows.
        """
        self._capacity = capacity
        self.slots = slots
        self._outlook = outlook
        self._turn_away = turn_away
        self._set_aside = set_aside
        self._keep_content = keep_content
        self._starved = StarvedQueues()
        self.forming: list[Batch[SlotT]] = []
        self.placements: deque[Entry] = deque()
        self.taken: int = 0

    @property
    def queued(self) -> int:
        """The number of rows that wait or form."""
        return self.taken - sum(batch.room - batch.size for batch in self.forming if batch.room)

    def open_up(self, batch: Batch[SlotT]) -> None:
        """Let plain requests take the rest of this batch without asking, which is why all of it
        counts as queued from now on. Its slot is bound to its layout."""
        if not batch.room:
            batch.room = self._capacity
            self.taken += batch.room - batch.size

    def close_up(self, batch: Batch[SlotLike]) -> None:
        """Undo `open_up`: requests must ask for rows of this batch again."""
        if batch.room:
            self.taken -= batch.room - batch.size
            batch.room = 0

    def entries(self, also: State = QUEUED) -> list[Entry]:
        """Everything that forms or waits: per batch in row order, then in no particular order.

        Args:
            also: include entries of batches in this state.
        """
        entries = [
            entry
            for batch in self.forming
            for entry in batch.entries
            if entry.state is QUEUED or entry.state is also
        ]
        for queue in self._starved.queues():
            entries += queue.waiting.entries()
        return entries

    def open_for(self, request: Request) -> Batch[SlotT] | None:
        """A new batch for a request that does not fit into the forming one; None if there is no
        slot, or some of its rows have to go elsewhere first."""
        queue = request.signature.queue
        batch = queue.forming
        if batch is not None and batch.size < self._capacity:
            return None  # its first rows get the room that is left
        if queue.waiting.rows or request.signature.rows > self._capacity:
            return None
        return self._open(queue)

    def place(self, request: Request) -> None:
        """Give a request rows in the forming batch and in free slots; the rest waits.

        What it gets is added to `placements`.
        """
        queue = request.queue
        while request.placed < request.rows:
            batch = queue.forming
            if batch is None or batch.size >= self._capacity:
                batch = None if queue.waiting.rows else self._open(queue)
            if batch is None:
                self._wait(queue, request)
                return
            self.close_up(batch)
            if self._stage(batch, request, self._capacity):
                self.placements.append(request)
                return

    def _stage(self, batch: Batch[SlotLike], request: Request, size: int) -> bool:
        """Give a request the next rows of a batch, up to a size; True if all of it fit."""
        room = size - batch.size
        if not request.placed and request.rows <= room:
            batch.add(request)
            return True
        chunk = Chunk(request, request.placed, min(room, request.rows - request.placed))
        batch.add(chunk)
        if request.chunks is None:
            request.chunks = []
        request.chunks.append(chunk)
        request.placed += chunk.rows
        self.placements.append(chunk)
        return False

    def _open(self, queue: Queue) -> Batch[SlotT] | None:
        free = self.slots.shared
        slot = free.pop() if free else self.slots.take(self.forming)
        if slot is None:
            return None
        queue.forming = batch = Batch(queue, slot)
        self.forming.append(batch)
        return batch

    def _wait(self, queue: Queue, entry: Entry) -> None:
        queue.waiting.push(entry)
        if queue.waiting.head() is entry:
            self._starved.join(queue)

    def give_back(self, slot: SlotT, now: float) -> None:
        """A slot is free again; give it to a queue that waits for one."""
        if slot.lane is None:
            self.slots.shared.append(slot)
        else:
            self.slots.give(slot)
        if self._starved.heap:
            self.grant(now)

    def grant(self, now: float) -> None:
        """Give free slots to the queues that wait for one."""
        while (queue := self._starved.first()) is not None:
            batch = self._open(queue)
            if batch is None:
                return
            self.fill(batch, self._capacity, self._outlook(batch, now), now)
            if not batch.size:
                self.dissolve(batch, now)
            self._starved.join(queue)

    def fill(self, batch: Batch[SlotT], size: int, fit: Fit, now: float) -> None:
        """Give rows to waiting requests, most urgent first, up to this batch size."""
        waiting = batch.queue.waiting
        while batch.size < size and (entry := waiting.head()) is not None:
            if isinstance(entry, Chunk):
                if batch.size + entry.rows > size:
                    return
                batch.add(entry)
                self.placements.append(waiting.pop())
                continue
            before = entry.placed
            if self._turn_away(entry, fit, now):
                continue
            if self._stage(batch, entry, size):
                self.placements.append(waiting.pop())
            else:
                waiting.took(entry.placed - before)
                if entry.placed == entry.rows:
                    waiting.pop()

    def dissolve(self, batch: Batch[SlotT], now: float) -> None:
        """Free the slot of a batch that nobody is waiting for any more."""
        self._end(batch)
        self.give_back(batch.slot, now)

    def form_anew(self, batch: Batch[SlotT]) -> None:
        """Requeue what was forming, to wait for another slot."""
        entries = batch.entries
        for entry in list(entries):
            if isinstance(entry, Request) and entry.state is RESERVED:
                self._set_aside(entry, batch)
            else:
                self._keep_content(entry)
        self._end(batch)
        for entry in entries:
            if entry.state is QUEUED:
                entry.batch = None
                self._wait(batch.queue, entry)

    def _end(self, batch: Batch[SlotT]) -> None:
        self.close_up(batch)
        self.forming.remove(batch)
        if batch.queue.forming is batch:
            batch.queue.forming = None
        batch.state = TRANSITIONS[batch.state][END]
        batch.clear()

    def form_rest(self, queue: Queue, entries: Sequence[Entry], now: float) -> None:
        """Let what was taken out of a batch about to go form in another slot, or wait."""
        for entry in entries:
            self._keep_content(entry)
            entry.batch = None
            self._wait(queue, entry)
        self.grant(now)

    # -- when something ends ---------------------------------------------------------------------

    def forget_lane(self, index: int) -> None:
        """A lane died, and with it the slots bound to it; what formed there waits for another
        slot."""
        self.slots.forget_lane(index)
        for batch in [batch for batch in self.forming if batch.slot.lane == index]:
            self.form_anew(batch)

    def clear(self) -> list[Entry]:
        """Remove and return everything that waits or forms."""
        entries: list[Entry] = []
        queues = dict.fromkeys([*self._starved.queues(), *(batch.queue for batch in self.forming)])
        for queue in queues:
            entries += queue.waiting.drain()
            queue.turn = 0
        for batch in list(self.forming):
            entries += [entry for entry in batch.entries if entry.stays]
            self._end(batch)
            self.slots.give(batch.slot)
        self._starved.clear()
        self.placements.clear()
        self.taken = 0
        return entries

    def mend(self, queues: Iterable[Queue], running: Sequence[SlotLike], held: int) -> None:
        """Recompute everything that can be derived, after an interruption in here, and drop
        everything that is gone. It is not known which rows are in their slots already, so all are
        staged again.

        Args:
            queues: those of the requests that left; all others are known.
            running: slots in which batches run.
            held: the number of rows of requests that have none yet.
        """
        known = dict.fromkeys(
            [*queues, *self._starved.queues(), *(each.queue for each in self.forming)]
        )
        self.forming[:] = [batch for batch in self.forming if batch.mend()]
        self.slots.mend([*running, *(batch.slot for batch in self.forming)])
        self._starved.clear()
        for queue in known:
            if queue.forming not in self.forming:
                queue.forming = None
            queue.waiting.mend()
            self._starved.join(queue)
        self.placements.clear()
        self.placements.extend(entry for batch in self.forming for entry in batch.entries)
        self.taken = held + sum(batch.rows for batch in self.forming)
        self.taken += sum(queue.waiting.rows for queue in known)
