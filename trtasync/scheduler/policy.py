"""The interface between engine and scheduler: the one place that decides.

The engine reports what happens (`hold`, `place`, `withdraw`, `finished`, `lane_died`) and asks what
to do (`next_batch`, until it returns None; then again at `wake_at`). Entries that got their rows
outside `hold` are listed in `placements` until the engine has staged them.
"""

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic

from trtasync.errors import QueueFull
from trtasync.scheduler.batches import Batch, RowAllocator
from trtasync.scheduler.devices import DeviceState, LaneState
from trtasync.scheduler.dispatch import Dispatch
from trtasync.scheduler.options import PolicyOptions, padded
from trtasync.scheduler.requests import DEFAULT_LEVEL, Entry, Request, whole
from trtasync.scheduler.roster import Roster
from trtasync.scheduler.slot_pool import SlotPool, SlotT
from trtasync.scheduler.spreading import Spreading
from trtasync.scheduler.states import END, FORMING, LAUNCH, QUEUED, RESERVED, TRANSITIONS
from trtasync.scheduler.trimming import Trimming


class Policy(Generic[SlotT]):
    """The state of one engine's queues, slots and lanes.

    Attributes:
        in_flight: the number of running rows.
        forming: the forming batches.
        slots: all of them.
        placements: entries to be staged in their `batch` at their `row`, oldest first.
        unseen: see `Admission.unseen`.
    """

    def __init__(
        self,
        options: PolicyOptions,
        lanes: Sequence[LaneState],
        slots: Sequence[SlotT],
        abandoned: Callable[[Batch[SlotT]], Sequence[Entry]] = lambda batch: (),
        displaced: Callable[[Request, QueueFull], None] = lambda request, error: None,
        keep_content: Callable[[Entry], None] = lambda entry: None,
    ):
        """Start with an empty queue and idle lanes.

        Args:
            options: how batches are formed.
            lanes: all lanes, by index.
            slots: all slots.
            abandoned: called when a batch is about to be launched; returns the entries not to run:
                those that nobody waits for, although `withdraw` was not called yet, and those whose
                content is incomplete.
            displaced: called with a request that leaves the queue for a more urgent one, and why.
            keep_content: called with an entry that is about to lose its rows and will get others.
        """
        self._options = options
        self._abandoned = abandoned
        self._capacity = options.max_batch_size
        self._sizes = options.batch_sizes
        self._roster: Roster[SlotT] = Roster(options, displaced, keep_content)
        self._expired = self._roster.expired
        self._admission = self._roster.admission
        self._waits = options.max_queue_delay > 0.0
        self.unseen: int = self._admission.unseen
        self._timed = options.max_queue_time is not None
        self._lanes = lanes
        self._sole = lanes[0] if len(lanes) == 1 else None
        self._devices = {
            device: DeviceState([lane for lane in lanes if lane.device == device])
            for device in dict.fromkeys(lane.device for lane in lanes)
        }
        several = len(self._devices) > 1 and any(slot.lane is not None for slot in slots)
        self.slots: SlotPool[SlotT] = SlotPool(lanes, self._devices, slots)
        self._trimming: Trimming[SlotT] = Trimming(options, self._roster.expire, keep_content)
        self._rows = self._roster.rows = self._trimming.rows = RowAllocator(
            self._capacity,
            self.slots,
            self._trimming.outlook,
            self._trimming.turn_away,
            self._roster.set_aside,
            keep_content,
        )
        self._spreading = Spreading(lanes, self._rows) if several else None
        self._dispatch: Dispatch[SlotT] = Dispatch(options, lanes, self._devices)
        self.forming: list[Batch[SlotT]] = self._rows.forming
        self.placements: deque[Entry] = self._rows.placements
        self.in_flight: int = 0
        self._wake_at = math.inf

    # -- what happened ---------------------------------------------------------------------------

    def hold(self, request: Request, urgent: bool = True) -> bool:
        """Admit a request, and give it its rows if it can get them at once in one batch.

        Args:
            request: the request.
            urgent: it has a deadline or a priority of its own; these are ignored otherwise.

        Returns:
            True if it has its rows: `batch`, `row`. Otherwise it has none until `place`.

        Raises:
            QueueFull, RequestTooLarge: `max_queue_size` (or `max_queue_time`) would be exceeded,
                now or by this request alone; nothing has changed then.
        """
        rows = self._rows
        signature = request.signature
        count = signature.rows
        if rows.taken + count > self.unseen or (urgent and request.level != DEFAULT_LEVEL):
            self._admit(request)
        batch = signature.queue.forming
        if batch is None or batch.size + count > self._capacity:
            request.batch = None
            batch = rows.open_for(request)
            if batch is None:
                rows.taken += count
                self._roster.held[request] = None
                return False
        # Batch.add, inlined: this is the path of nearly every request.
        request.batch = batch
        request.row = batch.size
        batch.entries.append(request)
        batch.size += count
        if not batch.room:
            rows.taken += count
        if urgent or batch.level > DEFAULT_LEVEL:
            batch.arrival = min(batch.arrival, request.arrival)
            batch.deadline = min(batch.deadline, request.deadline)
            batch.level = min(batch.level, request.level)
        return True

    def open_up(self, batch: Batch[SlotT]) -> None:
        """Plain requests without urgency, staged at once, are coming to this batch: those that
        follow may take its next rows without asking, unless the queue is nearly full."""
        if self._rows.taken + self._capacity - batch.size <= self.unseen:
            self._rows.open_up(batch)

    def place(self, request: Request) -> None:
        """The content of a request held without rows is complete: it gets rows, or waits."""
        self._roster.place(request)

    def _admit(self, request: Request) -> None:
        """Make room if priorities matter: the request has one of its own, or the queue is full.

        Waiting requests of worse priority give way if there is no room otherwise.
        """
        if self._rows.taken + request.rows > self.unseen:
            self._close_up()
        refusal = self._admission.make_room(request, self.queued)
        self._ask_admission()
        if refusal is not None:
            raise refusal
        self._admission.entered(request)

    def _ask_admission(self) -> None:
        """Update how many rows may wait before requests must be checked."""
        if (unseen := self._admission.unseen) < self.unseen:
            self._close_up()  # requests would be admitted unchecked by the previous limit
        self.unseen = unseen

    def _close_up(self) -> None:
        for batch in self.forming:
            self._rows.close_up(batch)

    def expire(self, request: Request, now: float) -> None:
        """A request arrived too late to be admitted: see `Expired`."""
        self._expired.add(request, now)

    def withdraw(self, request: Request, now: float) -> None:
        """Nobody waits for this request any more. Rows not yet running are never computed."""
        self._roster.withdraw(request, now)

    def finished(
        self, batch: Batch[SlotT], now: float, seconds: float | None, lent: bool = False
    ) -> None:
        """A batch has ended, its answers are out and its slot can be reused.

        Args:
            batch: as `next_batch` returned it.
            now: the time.
            seconds: how long it ran; None if that is meaningless (it failed).
            lent: except for its slot, which follows with `returned`. See `SlotPool.can_lend`.
        """
        batch.state = TRANSITIONS[batch.state][END]
        self.in_flight -= batch.size
        if self._timed:
            self._admission.finished(batch, self.queued, now)
            self._ask_admission()
        if seconds is not None:
            batch.queue.cost.learn(batch.run_rows, seconds, now)
        lane = self._lanes[batch.lane]
        device = self._devices[lane.device]
        if device.shared:
            device.finished(batch, lane, now, seconds is not None)
        else:
            device.running -= 1
            lane.running.remove(batch)
        if lent:
            self.slots.lend(batch.slot)
        else:
            home = batch.slot.lane
            if home is None or self._lanes[home].alive:
                self._rows.give_back(batch.slot, now)

    def returned(self, slot: SlotT, now: float) -> None:
        """A lent slot can be reused."""
        if self.slots.returned(slot):
            self._rows.give_back(slot, now)

    def lane_died(self, index: int, now: float) -> bool:
        """A lane cannot be used any more; what was forming for it is formed elsewhere.

        Returns:
            False if no lane is left, or no slot.
        """
        lane = self._lanes[index]
        lane.alive = False
        self._rows.forget_lane(index)
        self._rows.grant(now)
        # a slot in flight there is lost with it, even if it is another lane's
        return any(lane.alive for lane in self._lanes) and any(
            self.slots.is_usable(slot) for slot in self.slots.all
        )

    def drain(self) -> list[Request]:
        """Remove and return every request that is not running (for an abort)."""
        requests = self._roster.drain()
        self._ask_admission()
        self._wake_at = math.inf
        return requests

    def mend(self, left: Sequence[Request], now: float) -> None:
        """Recover from an exception between any two lines of `hold`, `place`, `expire` or
        `withdraw`: remove requests that left because of it, and recompute what can be derived.
        O(requests)."""
        running = [batch.slot for lane in self._lanes for batch in lane.running]
        self._roster.mend(left, running)
        self._ask_admission()
        self._rows.grant(now)

    def close(self) -> None:
        """Nothing new will arrive: no batch waits to grow any more."""
        self._dispatch.waits = self._waits = False

    @property
    def wake_at(self) -> float:
        """When to ask `next_batch` again if nothing else happens; inf for never."""
        due = self._expired.next_due if self._expired.heap else math.inf
        return min(self._wake_at, due)

    @property
    def largest(self) -> int:
        """Rows of the largest batch."""
        return self._capacity

    @property
    def queued(self) -> int:
        """The number of rows waiting or forming."""
        return self._rows.queued

    @property
    def expired(self) -> int:
        """Requests left uncomputed so far because they could not meet their deadline."""
        return self._expired.count

    @property
    def rejected(self) -> int:
        """Requests refused so far with QueueFull."""
        return self._admission.rejected

    def unanswered(self) -> int:
        """Requests in here: waiting, forming, running or expired. O(requests)."""
        running = [batch for lane in self._lanes for batch in lane.running]
        return self._roster.unanswered(running)

    # -- what to do ------------------------------------------------------------------------------

    def next_batch(self, now: float) -> Batch[SlotT] | None:
        """The batch to launch now, or None until something happens or `wake_at` is reached.

        If it returns one and nothing is left in `forming`, there is no other. The caller executes
        the batch's `moves`, then stages `placements`, then launches it on lane `batch.lane` with
        `batch.run_rows` rows.
        """
        dispatch = self._dispatch
        dispatch.wake_at = math.inf
        if self._expired.heap:
            self._roster.revive(now)
        forming = self.forming
        chosen = None
        while forming:
            if self._spreading is not None:
                self._spreading.spread(now)
                if not forming:  # everything turned out to be late
                    break
            choice = self._at_once() or dispatch.choose(forming, now)
            if choice is None:
                break
            if self._launch(*choice, now):
                chosen = choice[0]
                if not self.unseen:
                    self._admission.launched(chosen, self.queued)
                    self._ask_admission()
                break
        # what was decided about the chosen batch is no longer valid
        self._wake_at = dispatch.wake_at if forming else math.inf
        return chosen

    def _at_once(self) -> tuple[Batch[SlotT], LaneState] | None:
        """The oldest batch goes at once to an idle device if there is nothing to weigh, as
        `Dispatch.choose` would decide. None: ask it."""
        forming, sole = self.forming, self._sole
        batch = forming[0]
        home = batch.slot.lane
        lane = sole if home is None or sole is not None else self._lanes[home]
        if lane is None or self._waits or self._devices[lane.device].running:
            return None
        if not lane.alive or lane.retrying or batch.entries[0].state is RESERVED:
            return None
        if len(forming) > 1:
            if sole is None:
                return None
            for other in forming:
                if other.deadline < math.inf or other.level != DEFAULT_LEVEL:
                    return None
        return batch, lane

    def _launch(self, batch: Batch[SlotT], lane: LaneState, now: float) -> bool:
        """Prepare a batch for a lane; False if nothing was left of it."""
        rows = self._rows
        if batch.room:
            rows.close_up(batch)
        for entry in self._abandoned(batch):
            request = whole(entry)
            if request.state is RESERVED:
                self._roster.set_aside(request, batch)
            else:
                self.withdraw(request, now)
        if batch.gone == batch.size:
            if batch.state is FORMING:
                rows.dissolve(batch, now)
            return False
        queue, fit, rest = batch.queue, None, []
        if batch.deadline < math.inf or queue.waiting.rows:
            begins = lane.ends_at(now)
            fit = self._trimming.fit(queue, batch.rows + queue.waiting.rows, begins, now)
            rest = self._trimming.shrink(batch, fit, now)
            if batch.gone == batch.size:
                return False
        if batch.gone:
            batch.compact()
            if not rest:
                self._refill(batch, lane, now)
        if fit is not None and batch.size < fit.rows:
            rows.fill(batch, fit.rows, fit, now)
        sizes = self._sizes
        if sizes and batch.size not in sizes:
            rest += self._trimming.cut(batch, lane.ends_at(now))
        rows.forming.remove(batch)
        if queue.forming is batch:
            queue.forming = None
        if rest:
            rows.form_rest(queue, rest, now)
        self._start(batch, lane, now)
        return True

    def _start(self, batch: Batch[SlotT], lane: LaneState, now: float) -> None:
        """From now on, no row enters or leaves it."""
        batch.state = TRANSITIONS[batch.state][LAUNCH]
        batch.lane = lane.index
        batch.started = now
        size, sizes = batch.size, self._sizes
        batch.run_rows = sizes[bisect_left(sizes, size)] if sizes else size
        self._rows.taken -= size
        self.in_flight += size
        device = self._devices[lane.device]
        if device.shared:
            device.launched(batch, lane, now)
        else:  # nothing that it could slow down
            device.running += 1
            lane.running.append(batch)

    def _refill(self, batch: Batch[SlotT], lane: LaneState, now: float) -> None:
        """Fill the places of requests that left a batch with rows of batches forming behind it."""
        queue = batch.queue
        behind = [each for each in self.forming if each.queue is queue and each is not batch]
        for other in behind:
            for entry in self._abandoned(other):
                if whole(entry).state is QUEUED:
                    self.withdraw(whole(entry), now)
        behind = [each for each in behind if each.state is FORMING]  # callers wait for it
        if behind:
            self._trimming.refill(batch, behind, lane.ends_at(now), now)

    def run_rows(self, rows: int) -> int:
        """The allowed batch size for this many rows."""
        return padded(rows, self._sizes)
