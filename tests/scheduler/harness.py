"""The engine's part played in virtual time: stages rows, launches and ends batches, checks each.

Times are in milliseconds where MS is; batches take t(b) = 1.0 + 0.1 b ms unless told otherwise.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias, cast

from trtasync.errors import QueueFull
from trtasync.scheduler import Batch, Chunk, LaneState, Policy, PolicyOptions, Queue, Request
from trtasync.scheduler.requests import DEFAULT_LEVEL, Entry, whole
from trtasync.scheduler.slot_pool import SlotLike
from trtasync.scheduler.states import QUEUED, RUNNING

MS = 0.001
SIZES = (1, 2, 4, 8, 16, 32)

AnyBatch: TypeAlias = Batch[SlotLike]


class Shape(NamedTuple):
    """What a request is made of, for the scheduler."""

    queue: Queue
    rows: int


def asked(
    queue: Queue,
    rows: int = 1,
    level: int = DEFAULT_LEVEL,
    deadline: float = math.inf,
    arrival: float = 0.0,
) -> Request:
    """A request whose content is there."""
    return Request(Shape(queue, rows), level, deadline, arrival)


def linear(rows: int) -> float:
    """t(b) = 1.0 + 0.1 b ms."""
    return (1.0 + 0.1 * rows) * MS


class Slot:
    """Remembers which row of which request lies in which of its rows."""

    def __init__(self, lane: int | None = None):
        self.lane = lane
        self.held: dict[int, tuple[Request, int]] = {}

    def write(self, entry: Entry) -> None:
        """Stage an entry where the policy put it."""
        offset = entry.offset if isinstance(entry, Chunk) else 0
        for index in range(entry.rows):
            self.held[entry.row + index] = (whole(entry), offset + index)

    def move(self, source: int, target: int, count: int) -> None:
        """Move rows down; what was never written there stays unwritten."""
        for index in range(count):
            row = self.held.get(source + index)
            if row is None:
                self.held.pop(target + index, None)
            else:
                self.held[target + index] = row


def slot_of(batch: Batch[SlotLike]) -> Slot:
    """Its slot, which is one of these."""
    assert isinstance(batch.slot, Slot)
    return batch.slot


class Desk:
    """A policy with lanes and slots, used exactly as the engine uses it.

    Attributes:
        now: the time; tests set it.
        running: batches in flight, in order of launch.
        lent: slots of which answers are held.
        answered: requests all of whose rows were computed.
        displaced: requests that left the queue for more urgent ones, and what they were told.
        cuts: batches that went without a part of what had formed with them, and that part.
        shrunk: the same, where somebody would have been late for a larger batch.
    """

    def __init__(
        self,
        *,
        max_batch_size: int = 4,
        lanes: Sequence[LaneState] | int = 1,
        homes: Sequence[int | None] = (None, None, None),
        batch_sizes: tuple[int, ...] = (),
        max_queue_size: int = 4096,
        max_queue_time: float | None = None,
        max_queue_delay: float = 0.0,
        preferred_batch_size: tuple[int, ...] = (),
        lead: float = 0.0,
        abandoned: Callable[[AnyBatch], Sequence[Entry]] = lambda batch: (),
    ):
        """Args:
        lanes: the lanes, or how many of depth 1 on one device.
        homes: per slot, the lane it is bound to.
        """
        self.lanes = [LaneState(i) for i in range(lanes)] if isinstance(lanes, int) else lanes
        self.slots = [Slot(home) for home in homes]
        self.capacity = max_batch_size
        options = PolicyOptions(
            max_batch_size=max_batch_size,
            batch_sizes=batch_sizes,
            max_queue_size=max_queue_size,
            max_queue_time=max_queue_time,
            max_queue_delay=max_queue_delay,
            preferred_batch_size=preferred_batch_size,
            lead=lead,
        )
        self.displaced: list[tuple[Request, QueueFull]] = []
        self.policy = Policy(options, self.lanes, self.slots, abandoned, self._displaced)
        self.now = 0.0
        self.running: list[AnyBatch] = []
        self.answered: list[Request] = []
        self.cuts: list[tuple[AnyBatch, list[Entry]]] = []
        self.lent: list[Slot] = []
        self.shrunk: list[tuple[AnyBatch, list[Entry]]] = []
        self._computed: set[Chunk] = set()

    def submit(
        self,
        queue: Queue,
        rows: int = 1,
        *,
        level: int = DEFAULT_LEVEL,
        deadline: float = math.inf,
    ) -> Request:
        """Let a request in and stage what found a place. `deadline` is in policy time."""
        request = asked(queue, rows, level, deadline, self.now)
        if self.policy.hold(request, deadline < math.inf or level != DEFAULT_LEVEL):
            assert request.batch is not None
            slot_of(request.batch).write(request)
        else:
            self.policy.place(request)
            self.stage()
        return request

    def _displaced(self, request: Request, error: QueueFull) -> None:
        assert request.state is QUEUED
        assert not request.begun
        self.displaced.append((request, error))

    def withdraw(self, request: Request) -> None:
        """The caller gave up."""
        self.policy.withdraw(request, self.now)
        self.stage()

    def stage(self) -> None:
        """Stage the placements."""
        for entry in self.policy.placements:
            if entry.state is QUEUED and entry.batch is not None:
                slot_of(entry.batch).write(entry)
        self.policy.placements.clear()

    def launch(self, at: float | None = None) -> list[AnyBatch]:
        """Everything that goes now."""
        if at is not None:
            self.now = at
        batches: list[AnyBatch] = []
        while True:
            formed = {batch: list(batch.entries) for batch in self.policy.forming}
            batch = self.policy.next_batch(self.now)
            if batch is None:
                break
            for move in batch.moves:
                slot_of(batch).move(*move)
            self.stage()
            self._check(batch)
            self._check_cut(batch, formed.get(batch, []))
            self.running.append(batch)
            batches.append(batch)
        return batches

    def finish(
        self,
        batch: AnyBatch,
        at: float | None = None,
        *,
        failed: bool = False,
        lent: bool = False,
    ) -> None:
        """A batch ends; it took since its launch. Its slot is lent to its callers if it can be."""
        if at is not None:
            self.now = at
        self.running.remove(batch)
        for entry in batch.entries:
            if failed:
                self.policy.withdraw(whole(entry), self.now)
            elif entry.state is QUEUED:
                self._compute(entry)
        seconds = None if failed else self.now - batch.started
        lent = lent and self.policy.slots.can_lend(slot_of(batch))
        if lent:
            self.lent.append(slot_of(batch))
        self.policy.finished(cast(Batch[Slot], batch), self.now, seconds, lent)
        batch.entries = []
        self.stage()

    def come_home(self, slot: Slot) -> None:
        """The last answer lent of a slot is given back."""
        self.lent.remove(slot)
        self.policy.returned(slot, self.now)
        self.stage()

    def lane_died(self, index: int) -> bool:
        """A lane dies: what ran there fails, the rest goes on; False when none is left."""
        for batch in list(self.lanes[index].running):
            batch.slot.lane = index  # the dead lane may still write to it
            self.finish(batch, failed=True)
        alive = self.policy.lane_died(index, self.now)
        self.stage()
        return alive

    def run(self, batch_seconds: Callable[[int], float] = linear) -> None:
        """Go on until nothing is left to do, every batch taking its time."""
        for _ in range(10_000):
            self.launch()
            if self.running:
                ends = [batch.started + batch_seconds(batch.run_rows) for batch in self.running]
                first = min(range(len(ends)), key=ends.__getitem__)
                if ends[first] <= self.policy.wake_at:
                    self.finish(self.running[first], max(self.now, ends[first]))
                    continue
            if self.policy.wake_at == math.inf:
                return
            self.now = max(self.now, self.policy.wake_at)
        raise AssertionError("it never comes to rest")

    def teach(self, queue: Queue, *sizes: int, seconds: Callable[[int], float] = linear) -> None:
        """Let the queue's cost curve know t(b) of these sizes."""
        for size in sizes:
            queue.cost.learn(size, seconds(size), self.now)

    def teach_contention(self, queue: Queue, contention: float, *sizes: int) -> None:
        """Let it know that batches of these sizes, known already, take turns for such a part."""
        for size in sizes:
            alone = queue.cost.seconds(size)
            queue.cost.learn_contention(size, alone, alone, self.now)
            beside = alone / (1 - contention / 2)
            queue.cost.learn_contention(size, beside, beside / 2, self.now)

    def _compute(self, entry: Entry) -> None:
        request = whole(entry)
        if isinstance(entry, Request):
            self.answered.append(request)
            return
        assert entry not in self._computed
        self._computed.add(entry)
        chunks = request.chunks or []
        if request.placed < request.rows or not self._computed.issuperset(chunks):
            return
        spans = sorted((chunk.offset, chunk.offset + chunk.rows) for chunk in chunks)
        starts, ends = [first for first, _ in spans], [end for _, end in spans]
        assert starts == [0, *ends[:-1]]
        assert ends[-1] == request.rows
        self.answered.append(request)

    def _check_cut(self, batch: AnyBatch, formed: list[Entry]) -> None:
        """What formed with a batch and did not go with it waits or forms elsewhere."""
        rest = [entry for entry in formed if entry.state is QUEUED and entry.batch is not batch]
        if not rest:
            return
        for entry in rest:
            assert entry.batch is None or entry.batch.state is not RUNNING
            assert entry.batch is None or entry.batch.slot is not batch.slot
        first = min(entry.deadline for entry in formed)
        formed = [entry for entry in formed if entry.state is QUEUED]
        went = [entry for entry in formed if entry.batch is batch]
        largest = batch.queue.cost.seconds(self.policy.run_rows(self.capacity))
        if first < self.lanes[batch.lane].ends_at(self.now) + largest:
            self.shrunk.append((batch, rest))  # it may be smaller for the sake of a deadline
            return
        self.cuts.append((batch, rest))
        options = self.policy._options
        assert options.batch_sizes
        assert not options.max_queue_delay
        # to the next smaller size, and in order: nothing from behind the cut went before it
        whole_size = self.policy.run_rows(batch.size + sum(entry.rows for entry in rest))
        smaller = [size for size in options.batch_sizes if size < whole_size]
        assert batch.run_rows <= smaller[-1]
        assert [*went, *rest] == formed
        # the batch did not lose the request for whose sake it may have gone
        first = min(entry.deadline for entry in (*went, *rest))
        assert first == math.inf or first in [entry.deadline for entry in went]
        assert min(entry.level for entry in rest) >= max(entry.level for entry in went)

    def _check(self, batch: AnyBatch) -> None:
        lane = self.lanes[batch.lane]
        assert lane.alive
        assert batch in lane.running
        assert len(lane.running) <= lane.depth
        home = batch.slot.lane
        assert home is None or self.lanes[home].device == lane.device
        assert all(other.slot is not batch.slot for other in self.running)
        assert 0 < batch.size <= batch.run_rows <= self.capacity
        assert batch.started == self.now
        row = 0
        for entry in batch.entries:
            assert entry.state is QUEUED
            assert entry.batch is batch
            assert whole(entry).queue is batch.queue
            assert entry.row == row
            offset = entry.offset if isinstance(entry, Chunk) else 0
            for index in range(entry.rows):
                assert slot_of(batch).held[row + index] == (whole(entry), offset + index)
            row += entry.rows
        assert row == batch.size


def busy_desk(queue: Queue, **settings: object) -> tuple[Desk, AnyBatch]:
    """Capacity 32, two lanes of which nothing overlaps; one runs a batch of a row since 0.0."""
    desk = Desk(max_batch_size=32, **{"lanes": 2, **settings})  # type: ignore[arg-type]  # any of its options
    desk.teach(queue, *SIZES)
    desk.teach_contention(queue, 1.0, *SIZES)
    desk.submit(queue)
    (batch,) = desk.launch()
    return desk, batch
