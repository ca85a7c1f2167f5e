"""Which rows of which batch go to whom."""

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from typing import Generic, cast

from trtasync.scheduler.batches import Batch
from trtasync.scheduler.fits import Fit
from trtasync.scheduler.queues import Queue, urgency
from trtasync.scheduler.requests import Chunk, Entry, Request
from trtasync.scheduler.slot_pool import SlotLike, SlotPool, SlotT
from trtasync.scheduler.states import END, FORMING, OVER, QUEUED, RESERVED, TRANSITIONS, State


class RowAllocator(Generic[SlotT]):
    """Gives requests their rows: in the batch that forms, in a free slot, or when one is free.

    Attributes:
        forming: batches in slots, not launched yet.
        placements: entries that got their rows outside of `hold`, to be staged there; oldest first.
        slots: all of them.
        taken: rows that wait or form, and those that batches have room for besides.
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
        """Nothing waits or forms.

        Args:
            capacity: rows of a slot.
            slots: all of them, free.
            outlook: says how what waits would fit into a batch that was just opened for it.
            turn_away: asked before a waiting request gets its rows: True when it was disposed of
                instead.
            set_aside: takes over a request, not complete, that loses its rows in a batch.
            keep_content: told of an entry before it goes to other rows.
        """
        self._capacity = capacity
        self.slots = slots
        self._outlook = outlook
        self._turn_away = turn_away
        self._set_aside = set_aside
        self._keep_content = keep_content
        self._starved: list[tuple[float, int, Queue]] = []
        self._serial = count(1)
        self.forming: list[Batch[SlotT]] = []
        self.placements: deque[Entry] = deque()
        self.taken: int = 0

    @property
    def queued(self) -> int:
        """Rows that wait or form."""
        return self.taken - sum(batch.room - batch.size for batch in self.forming if batch.room)

    def open_up(self, batch: Batch[SlotT]) -> None:
        """Plain requests take the rest of this batch without asking anybody, which is why all of it
        counts as queued from now on. Its slot is turned to its layout."""
        if not batch.room:
            batch.room = self._capacity
            self.taken += batch.room - batch.size

    def close_up(self, batch: Batch[SlotLike]) -> None:
        """Nobody takes rows of this batch any more without asking."""
        if batch.room:
            self.taken -= batch.room - batch.size
            batch.room = 0

    def waiting(self) -> list[Queue]:
        """Queues with requests that wait for a slot."""
        return list(dict.fromkeys(item[2] for item in self._starved))

    def entries(self, also: State = QUEUED) -> list[Entry]:
        """Whatever forms or waits: in a batch in row order, then in no order.

        Args:
            also: entries of batches in this state are among them.
        """
        entries = [
            entry
            for batch in self.forming
            for entry in batch.entries
            if entry.state is QUEUED or entry.state is also
        ]
        for queue in self.waiting():
            entries += queue.waiting.entries()
        return entries

    def open_for(self, request: Request) -> Batch[SlotT] | None:
        """A new batch for a request that does not fit into the one that forms; None if there is no
        slot for it, or rows of it have to go elsewhere first."""
        queue = request.signature.queue
        batch = queue.forming
        if batch is not None and batch.size < self._capacity:
            return None  # the room that is left goes to its first rows
        if queue.waiting.rows or request.signature.rows > self._capacity:
            return None
        return self._open(queue)

    def place(self, request: Request) -> None:
        """Give a request rows in the forming batch and in fresh slots; what is left over waits.

        What it gets is in `placements`.
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
        """Give a request the next rows of a batch, up to a size; True if it got them whole."""
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
            self._join_starved(queue)

    def _join_starved(self, queue: Queue) -> None:
        head = queue.waiting.head()
        if head is None:
            queue.turn = 0
            return
        serial = next(self._serial)
        heapq.heappush(
            self._starved, (urgency(head.level, head.arrival, head.deadline), serial, queue)
        )
        queue.turn = serial

    def give_back(self, slot: SlotT, now: float) -> None:
        """A slot is free again; it goes to whoever waits for one."""
        if slot.lane is None:
            self.slots.shared.append(slot)
        else:
            self.slots.give(slot)
        if self._starved:
            self.grant(now)

    def grant(self, now: float) -> None:
        """Give free slots to the queues that wait for one."""
        while self._starved:
            _, serial, queue = self._starved[0]
            if queue.turn != serial or queue.waiting.head() is None:
                heapq.heappop(self._starved)  # it has a better place by now, or nothing waits
                continue
            batch = self._open(queue)
            if batch is None:
                return
            self._fill(batch, self._capacity, self._outlook(batch, now), now)
            if not batch.size:
                self.dissolve(batch, now)
            self._join_starved(queue)

    def fill(self, batch: Batch[SlotT], fit: Fit, now: float) -> None:
        """Give rows to what waits, most urgent first, until the batch about to go is full."""
        self._fill(batch, fit.rows, fit, now)

    def refill(self, batch: Batch[SlotT], fit: Fit, now: float) -> None:
        """Fill the holes of a batch that is about to go from those of its queue that form behind
        it, in order: with many slots a queue has no line to fill them from."""
        behind = [each for each in self.forming if each.queue is batch.queue and each is not batch]
        for other in behind:
            moved = list(_fitting(other.entries, fit.rows - batch.size, fit))
            for entry in moved:
                self._keep_content(entry)
                batch.add(entry)
                self.placements.append(entry)
            if moved:
                staying = set(moved)
                other.entries = [entry for entry in other.entries if entry not in staying]
                other.gone += sum(entry.rows for entry in moved)
                if other.gone == other.size:
                    self.dissolve(other, now)

    def _fill(self, batch: Batch[SlotT], size: int, fit: Fit, now: float) -> None:
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

    def remove(self, request: Request, now: float) -> None:
        """Nobody wants the rows of a request any more, wherever they wait or form."""
        if request.batch is not None:
            self._vacate(request, now)
            return
        waiting = request.queue.waiting
        if request.placed < request.rows:
            self.taken -= request.rows - request.placed
            waiting.withdraw(request)
        for chunk in request.chunks or ():
            if chunk.state is OVER:
                continue
            chunk.state = OVER
            if chunk.batch is None:
                self.taken -= chunk.rows
                waiting.withdraw(chunk)
            else:
                self._vacate(chunk, now)

    def _vacate(self, entry: Entry, now: float) -> None:
        batch = cast(Batch[SlotT], entry.batch)
        if batch.state is not FORMING:
            return
        batch.gone += entry.rows
        self.taken -= entry.rows
        if batch.gone == batch.size:
            self.dissolve(batch, now)

    def dissolve(self, batch: Batch[SlotT], now: float) -> None:
        """Give back the slot of a batch that nobody waits for any more."""
        self._end(batch)
        self.give_back(batch.slot, now)

    def form_anew(self, batch: Batch[SlotT]) -> None:
        """What was forming waits for another slot."""
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
        """What was taken out of a batch that goes without it forms in another slot, or waits."""
        for entry in entries:
            self._keep_content(entry)
            entry.batch = None
            self._wait(queue, entry)
        self.grant(now)

    # -- when something ends ---------------------------------------------------------------------

    def forget_lane(self, index: int) -> None:
        """A lane died, and the slots bound to it with it; what formed there waits for another."""
        self.slots.forget_lane(index)
        for batch in [batch for batch in self.forming if batch.slot.lane == index]:
            self.form_anew(batch)

    def clear(self) -> list[Entry]:
        """Take everything out that waits or forms."""
        entries: list[Entry] = []
        queues = dict.fromkeys([*self.waiting(), *(batch.queue for batch in self.forming)])
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
        """Derive anew what can be: somebody was interrupted in here, and everything that is gone
        leaves. Nobody knows which rows are in their slots already: all are staged again.

        Args:
            queues: of those who left; all others are known.
            running: slots in which batches run.
            held: rows of requests that have none.
        """
        known = dict.fromkeys([*queues, *self.waiting(), *(each.queue for each in self.forming)])
        self.forming[:] = [batch for batch in self.forming if batch.mend()]
        self.slots.mend([*running, *(batch.slot for batch in self.forming)])
        self._starved.clear()
        for queue in known:
            if queue.forming not in self.forming:
                queue.forming = None
            queue.waiting.mend()
            self._join_starved(queue)
        self.placements.clear()
        self.placements.extend(entry for batch in self.forming for entry in batch.entries)
        self.taken = held + sum(batch.rows for batch in self.forming)
        self.taken += sum(queue.waiting.rows for queue in known)


def _fitting(entries: Iterable[Entry], room: int, fit: Fit) -> Iterator[Entry]:
    """The first of these that find room, none of them late; those behind stay behind."""
    for entry in entries:
        if entry.state is QUEUED and not fit.is_late(entry):
            if entry.rows > room:
                return
            room -= entry.rows
            yield entry
