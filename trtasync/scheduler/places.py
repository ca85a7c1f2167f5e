"""Where rows lie and wait: slots, the batches forming in them, the queues that wait for one."""

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count

from trtasync.scheduler.devices import DeviceState
from trtasync.scheduler.fits import Fit
from trtasync.scheduler.waiting import urgency
from trtasync.scheduler.work import Batch, Chunk, Entry, LaneState, Queue, Request, SlotLike


class Places:
    """Gives requests their rows.

    Attributes:
        forming: batches in slots, not launched yet.
        placements: entries to be staged in their `batch` at their `row`, oldest first.
    """

    def __init__(
        self,
        capacity: int,
        lanes: Sequence[LaneState],
        slots: Sequence[SlotLike],
        devices: Mapping[int, DeviceState],
        outlook: Callable[[Batch, float], Fit],
        turn_away: Callable[[Request, Fit, float], bool],
    ):
        """Start with every slot free.

        Args:
            capacity: rows of a slot.
            lanes: all lanes, by index.
            slots: all slots, all free.
            devices: what runs on each.
            outlook: says how what waits would fit into a batch that was just opened for it.
            turn_away: asked before a waiting request is staged: True when it was disposed of
                instead.
        """
        self._capacity = capacity
        self._lanes = lanes
        self._devices = devices
        self._outlook = outlook
        self._turn_away = turn_away
        self._free: dict[int | None, list[SlotLike]] = {}
        for slot in slots:
            self._free.setdefault(slot.lane, []).append(slot)
        self._starved: list[tuple[float, int, Queue]] = []
        self._serial = count(1)
        self.forming: list[Batch] = []
        self.placements: deque[Entry] = deque()

    def any_free(self) -> bool:
        """Some slot is free."""
        return any(self._free.values())

    def is_free(self, slot: SlotLike) -> bool:
        """This one is free."""
        return any(slot in pool for pool in self._free.values())

    def waiting(self) -> list[Queue]:
        """Queues with requests that wait for a slot."""
        return list(dict.fromkeys(entry[2] for entry in self._starved))

    def entries(self) -> list[Entry]:
        """Whatever forms or waits: in a batch in row order, then in no order."""
        entries = [entry for batch in self.forming for entry in batch.entries if not entry.gone]
        for queue in self.waiting():
            entries += queue.waiting.requests()
        return entries

    def behind(self, batch: Batch) -> list[Entry]:
        """The newest requests of its queue outside a batch: about a batch that forms and one that
        waits."""
        queue = batch.queue
        found: list[Entry] = queue.waiting.last(self._capacity)
        for other in reversed(self.forming):
            if other.queue is queue and other is not batch:
                return found + [entry for entry in other.entries if not entry.gone]
        return found

    def give_back(self, slot: SlotLike, now: float) -> None:
        """A slot is free again; it goes to whoever waits for one."""
        self._free.setdefault(slot.lane, []).append(slot)
        if self._starved:
            self.grant(now)

    def release_all(self) -> None:
        """Forget the free slots."""
        self._free.clear()

    def mend(self, queues: Iterable[Queue], free: Sequence[SlotLike]) -> int:
        """Derive anew what can be: somebody was interrupted in here, and everything that is gone
        leaves. Nobody knows which rows are in their slots already: all are staged again.

        Args:
            queues: of those who left; all others are known.
            free: slots in which nothing runs, those of what forms included.

        Returns:
            rows that wait or signature.
        """
        known = dict.fromkeys([*queues, *self.waiting(), *(each.queue for each in self.forming)])
        self._free = {}
        self.forming[:] = [batch for batch in self.forming if batch.mend()]
        taken = [batch.slot for batch in self.forming]
        for slot in free:
            if slot not in taken:
                self._free.setdefault(slot.lane, []).append(slot)
        self._starved.clear()
        for queue in known:
            if queue.forming not in self.forming:
                queue.forming = None
            queue.waiting.mend()
            self._join_starved(queue)
        self.placements.clear()
        self.placements.extend(entry for batch in self.forming for entry in batch.entries)
        return sum(batch.rows for batch in self.forming) + sum(each.waiting.rows for each in known)

    def forget_lane(self, index: int) -> None:
        """A lane died, and the slots bound to it with it; what formed there waits for another."""
        self._free.pop(index, None)
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
            entries += [entry for entry in batch.entries if not entry.gone]
            self.drop(batch)
            self._free.setdefault(batch.slot.lane, []).append(batch.slot)
        self._starved.clear()
        self.placements.clear()
        return entries

    def place(self, request: Request) -> Batch | None:
        """Stage a request in the forming batch and in fresh slots; what is left over waits."""
        queue = request.queue
        while request.placed < request.rows:
            batch = queue.forming
            if batch is None or batch.size >= self._capacity:
                batch = None if queue.waiting.rows else self._open(queue)
            if batch is None:
                self._wait(queue, request)
                return None
            if self._stage(batch, request, self._capacity):
                return batch
        return None

    def _stage(self, batch: Batch, request: Request, size: int) -> bool:
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

    def _open(self, queue: Queue) -> Batch | None:
        slot = self._take_slot()
        if slot is None:
            return None
        batch = Batch(queue, slot)
        self.forming.append(batch)
        queue.forming = batch
        return batch

    def _take_slot(self) -> SlotLike | None:
        pool = self._free.get(None)
        if pool:
            return pool.pop()
        open_lanes = [lane for lane in self._lanes if lane.alive and self._free.get(lane.index)]
        if not open_lanes:
            return None
        homes = [batch.slot.lane for batch in self.forming]
        lanes = [self._lanes[home] for home in homes if home is not None]
        devices = [lane.device for lane in lanes]

        def load(lane: LaneState) -> tuple[int, int, int]:
            on_device = self._devices[lane.device].running + devices.count(lane.device)
            return on_device, len(lane.running) + lanes.count(lane), lane.index

        return self._free[min(open_lanes, key=load).index].pop()

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
        key = urgency(head.level, head.arrival, head.deadline)
        heapq.heappush(self._starved, (key, serial, queue))
        queue.turn = serial

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
                self.release(batch, now)
            self._join_starved(queue)

    def fill(self, batch: Batch, fit: Fit, now: float) -> None:
        """Stage what waits, most urgent first, until the batch that is about to go is full."""
        self._fill(batch, fit.rows, fit, now)

    def _fill(self, batch: Batch, size: int, fit: Fit, now: float) -> None:
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

    def release(self, batch: Batch, now: float) -> None:
        """Give back the slot of a batch that nobody waits for any more."""
        self.drop(batch)
        batch.clear()
        self.give_back(batch.slot, now)

    def form_anew(self, batch: Batch) -> None:
        """What was forming waits for another slot."""
        self.drop(batch)
        for entry in batch.entries:
            if not entry.gone:
                entry.batch = None
                self._wait(batch.queue, entry)
        batch.clear()

    def form_rest(self, queue: Queue, entries: Sequence[Entry], now: float) -> None:
        """What was taken out of a batch that goes without it forms in another slot, or waits."""
        for entry in entries:
            entry.batch = None
            self._wait(queue, entry)
        self.grant(now)

    def spread(self, now: float) -> None:
        """What forms in a slot of a busy device is formed anew on a device that is idle."""
        if not self._idle():
            return
        for batch in sorted(self._stuck(), key=lambda batch: batch.urgency):
            self.form_anew(batch)
            self.give_back(batch.slot, now)
            if not self._idle():  # it stays so if all of the batch turned out to be late
                return

    def _idle(self) -> set[int]:
        """Devices with a free slot on which nothing runs or forms."""
        idle = {
            lane.device
            for lane in self._lanes
            if lane.alive and self._free.get(lane.index) and not self._devices[lane.device].running
        }
        return idle - {self._lanes[batch.slot.lane].device for batch in self._bound()}

    def _stuck(self) -> list[Batch]:
        """What forms in slots of busy devices."""
        return [
            batch
            for batch in self._bound()
            if self._devices[self._lanes[batch.slot.lane].device].running
        ]

    def _bound(self) -> list[Batch]:
        """What forms in slots that belong to a lane."""
        return [batch for batch in self.forming if batch.slot.lane is not None]

    def drop(self, batch: Batch) -> None:
        """A batch is not forming any more."""
        self.forming.remove(batch)
        if batch.queue.forming is batch:
            batch.queue.forming = None
