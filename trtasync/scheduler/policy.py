"""What the engine tells the scheduler and asks it: the one place that decides.

The engine tells it what happens (`hold`, `place`, `withdraw`, `finished`, `lane_died`) and asks it
what to do (`next_batch`, until that returns None; then again at `wake_at`). Entries that got their
rows outside of `hold` are listed in `placements` until the engine has staged them.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Generic

from trtasync.errors import QueueFull
from trtasync.scheduler.admission import Admission
from trtasync.scheduler.batches import Batch
from trtasync.scheduler.devices import DeviceState, LaneState
from trtasync.scheduler.dispatch import Dispatch
from trtasync.scheduler.expired import Expired
from trtasync.scheduler.launching import Launching
from trtasync.scheduler.options import PolicyOptions, padded
from trtasync.scheduler.requests import DEFAULT_LEVEL, Entry, Request, give_up, whole
from trtasync.scheduler.row_allocator import RowAllocator
from trtasync.scheduler.slot_pool import SlotPool, SlotT
from trtasync.scheduler.spreading import Spreading
from trtasync.scheduler.states import (
    EXPIRED,
    LEAVE,
    OVER,
    QUEUED,
    RESERVED,
    REVIVE,
    TRANSITIONS,
)
from trtasync.scheduler.trimming import Trimming


class Policy(Generic[SlotT]):
    """The state of one engine's queues, slots and lanes.

    Attributes:
        expired: requests left uncomputed so far because they could not make their deadline.
        wake_at: when to ask `next_batch` again if nothing else happens; inf for never.
        forming: batches that form.
        slots: all of them.
        placements: entries to be staged in their `batch` at their `row`, oldest first.
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
            abandoned: asked when a batch is about to be launched: which of its entries are not to
                be run: nobody waits for them, though `withdraw` was not called yet, or their
                content is not complete.
            displaced: told of a request that leaves the queue for a more urgent one, and why.
            keep_content: told of an entry that is about to lose its rows, and will get others.
        """
        self._options = options
        self._displaced = displaced
        self._keep_content = keep_content
        self._capacity = options.max_batch_size
        self._sizes = options.batch_sizes
        self._admission = Admission(options, self._waiting, self._displace)
        self._unseen = self._admission.unseen
        self._timed = options.max_queue_time is not None
        self._lanes = lanes
        self._devices = {
            device: DeviceState([lane for lane in lanes if lane.device == device])
            for device in dict.fromkeys(lane.device for lane in lanes)
        }
        several = len(self._devices) > 1 and any(slot.lane is not None for slot in slots)
        self.slots: SlotPool[SlotT] = SlotPool(lanes, self._devices, slots)
        self._trimming: Trimming[SlotT] = Trimming(options, self._expire)
        self._rows = self._trimming.rows = RowAllocator(
            self._capacity,
            self.slots,
            self._trimming.outlook,
            self._trimming.turn_away,
            self._set_aside,
            keep_content,
        )
        self._spreading = Spreading(lanes, self._rows) if several else None
        self._dispatch: Dispatch[SlotT] = Dispatch(options, lanes, self._devices)
        self._launching: Launching[SlotT] = Launching(
            options,
            lanes,
            self._devices,
            self._rows,
            self._trimming,
            abandoned,
            self._set_aside,
            self.withdraw,
        )
        self.forming: list[Batch[SlotT]] = self._rows.forming
        self.placements: deque[Entry] = self._rows.placements
        self._held: dict[Request, None] = {}
        self._expired = Expired()
        self.expired: int = 0
        self.wake_at: float = math.inf

    # -- what happened ---------------------------------------------------------------------------

    def hold(self, request: Request, urgent: bool = True) -> bool:
        """Let a request in, and give it its rows if they are to be had at once in one batch.

        Args:
            request: the request.
            urgent: it has a deadline or a priority of its own; only then are these looked at.

        Returns:
            True when it has its rows: `batch`, `row`. Otherwise it has none until `place`.

        Raises:
            QueueFull, RequestTooLarge: `max_queue_size` (or `max_queue_time`) would be exceeded,
                now or by this request alone; nothing has changed then.
        """
        rows = self._rows
        signature = request.signature
        count = signature.rows
        if rows.taken + count > self._unseen or (urgent and request.level != DEFAULT_LEVEL):
            self._admit(request)
        batch = signature.queue.forming
        if batch is None or batch.size + count > self._capacity:
            request.batch = None
            batch = rows.open_for(request)
            if batch is None:
                rows.taken += count
                self._held[request] = None
                return False
        # Batch.add, written out: this is the path of nearly every request.
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
        """Requests of the batch's queue come that are plain, have no urgency of their own and were
        staged at once: those that follow may take the next rows of it unasked, up to its `room`.

        Unless the queue is nearly full, or somebody waits who comes after them.
        """
        if (
            batch.level <= DEFAULT_LEVEL
            and self._rows.taken + self._capacity - batch.size <= self._unseen
        ):
            self._rows.open_up(batch)

    def place(self, request: Request) -> None:
        """The content of a request that was held without rows is complete: it gets rows, in
        several batches if need be, or waits for them."""
        del self._held[request]
        self._rows.place(request)

    def _admit(self, request: Request) -> None:
        """Make room where priorities count: the request has one of its own, or the queue is full.

        Waiting requests of worse priority give way if there is no room otherwise.
        """
        if self._rows.taken + request.rows > self._unseen:
            self._close_up()
        refusal = self._admission.make_room(request, self.queued)
        self._ask_admission()
        if refusal is not None:
            raise refusal
        self._admission.entered(request)

    def _ask_admission(self) -> None:
        """How many rows may wait before a request is to be looked at, by what happened just now."""
        unseen = self._admission.unseen
        if unseen < self._unseen:
            self._close_up()  # requests would come in unseen by the limit of before
        self._unseen = unseen

    def _close_up(self) -> None:
        for batch in self.forming:
            self._rows.close_up(batch)

    def expire(self, request: Request, now: float) -> None:
        """A request came too late to be let in: see `Expired`."""
        self.expired += 1
        due = self._expired.add(request, now)
        self.wake_at = min(self.wake_at, due)

    def withdraw(self, request: Request, now: float) -> None:
        """Nobody waits for this request any more. Rows that are not running are never computed."""
        state = request.state
        if state is OVER:
            return
        request.state = TRANSITIONS[state][LEAVE]
        if state is RESERVED and request.batch is None and request not in self._held:
            return  # it came too late to take room
        if state is not EXPIRED:
            self._remove(request, now)

    def _remove(self, request: Request, now: float) -> None:
        """Take a request out of wherever it waits or forms."""
        self._admission.left(request)
        if request in self._held:
            del self._held[request]
            self._rows.taken -= request.rows
        else:
            self._rows.remove(request, now)

    def finished(
        self, batch: Batch[SlotT], now: float, seconds: float | None, lent: bool = False
    ) -> None:
        """A batch is done, its answers are out and its slot can be used again.

        Args:
            batch: as `next_batch` returned it.
            now: the time.
            seconds: how long it ran; None when that says nothing (it failed).
            lent: not its slot: that comes with `returned`. See `SlotPool.can_lend`.
        """
        self._launching.finished(batch, now, seconds)
        if self._timed:
            self._admission.finished(batch, self.queued, now)
            self._ask_admission()
        if lent:
            self.slots.lend(batch.slot)
        else:
            home = batch.slot.lane
            if home is None or self._lanes[home].alive:
                self._rows.give_back(batch.slot, now)

    def returned(self, slot: SlotT, now: float) -> None:
        """A slot that was lent can be used again."""
        if self.slots.returned(slot):
            self._rows.give_back(slot, now)

    def lane_died(self, index: int, now: float) -> bool:
        """A lane cannot be used again; what was forming for it is formed elsewhere.

        Returns:
            False when no lane is left, or no slot.
        """
        lane = self._lanes[index]
        lane.alive = False
        self._rows.forget_lane(index)
        self._rows.grant(now)
        # a slot in flight there is lost with it, though it be another lane's
        return any(lane.alive for lane in self._lanes) and any(
            self.slots.is_usable(slot) for slot in self.slots.all
        )

    def drain(self) -> list[Request]:
        """Take out every request that is not running (for an abort)."""
        entries: list[Entry] = [*self._expired.requests(), *self._held]
        entries += self._rows.clear()
        self._expired.clear()
        self._held.clear()
        self._admission.forget()
        self._ask_admission()
        self.wake_at = math.inf
        requests = list(dict.fromkeys(whole(entry) for entry in entries))
        for request in requests:
            give_up(request)
        return requests

    def mend(self, left: Sequence[Request], now: float) -> None:
        """An exception came between any two lines of `hold`, `place`, `expire` or `withdraw`: those
        who left by it are taken out, and what can be derived is derived anew. O(requests)."""
        for request in left:
            give_up(request)
            self._held.pop(request, None)
        running = [batch.slot for lane in self._lanes for batch in lane.running]
        held = sum(request.rows for request in self._held)
        self._rows.mend([request.queue for request in left], running, held)
        self._admission.forget()
        self._ask_admission()
        self._rows.grant(now)

    def close(self) -> None:
        """Nothing new will come: no batch waits for company any more."""
        self._dispatch.waits = False

    @property
    def queued(self) -> int:
        """Rows waiting or forming."""
        return self._rows.queued

    @property
    def in_flight(self) -> int:
        """Rows running."""
        return self._launching.in_flight

    @property
    def rejected(self) -> int:
        """Requests refused so far with QueueFull."""
        return self._admission.rejected

    def unanswered(self) -> int:
        """Requests that are in here: waiting, forming, running or expired. O(requests)."""
        entries: list[Entry] = [*self._expired.requests(), *self._rows.entries()]
        running = [batch for lane in self._lanes for batch in lane.running]
        entries += [entry for batch in running for entry in batch.entries if entry.state is QUEUED]
        return len({id(whole(entry)) for entry in entries})

    # -- what to do ------------------------------------------------------------------------------

    def next_batch(self, now: float) -> Batch[SlotT] | None:
        """The batch to launch now, or None until something happens or `wake_at` comes.

        When it gives one and nothing is left in `forming`, there is no other. The caller makes the
        batch's `moves`, then stages `placements`, then launches it on lane
        `batch.lane` with `batch.run_rows` rows.
        """
        dispatch = self._dispatch
        dispatch.wake_at = math.inf
        if self._expired.heap:
            self._revive(now)
        forming = self.forming
        chosen = None
        while forming:
            if self._spreading is not None:
                self._spreading.spread(now)
                if not forming:  # all of it turned out to be late
                    break
            choice = dispatch.at_once(forming) or dispatch.choose(forming, now)
            if choice is None:
                break
            if self._launching.launch(*choice, now):
                chosen = choice[0]
                if not self._unseen:
                    self._admission.launched(chosen, self.queued)
                    self._ask_admission()
                break
        # what was said of the chosen batch holds no more
        self.wake_at = dispatch.wake_at if forming else math.inf
        if self._expired.heap:
            self.wake_at = min(self.wake_at, self._expired.next_due)
        return chosen

    def _set_aside(self, request: Request, batch: Batch[SlotT]) -> None:
        """A request that is still being written loses its rows: the batch does not wait for it."""
        self._keep_content(request)
        batch.leave_out(request)
        self._held[request] = None

    def _revive(self, now: float) -> None:
        """Let those in again whose callers are still there."""
        while (request := self._expired.pop_due(now)) is not None:
            request.queue.waiting.sweep()  # it must not come back to life there too
            request.state = TRANSITIONS[request.state][REVIVE]
            request.deadline = math.inf
            request.batch, request.chunks, request.placed = None, None, 0
            self._rows.taken += request.rows
            self._rows.place(request)
            self._admission.entered(request)

    def _expire(self, request: Request, now: float) -> None:
        """It cannot make its deadline any more, and is not computed for now."""
        self._keep_content(request)
        self.expire(request, now)
        self._remove(request, now)

    def run_rows(self, rows: int) -> int:
        """The allowed batch size for this many rows."""
        return padded(rows, self._sizes)

    def _waiting(self) -> Iterator[Request]:
        """All requests of which nothing has run, each once, older ones of a queue first."""
        entries = [*self._rows.entries(RESERVED), *self._held]
        requests = dict.fromkeys(whole(entry) for entry in entries)
        return (request for request in requests if not request.begun)

    def _displace(self, request: Request, error: QueueFull, now: float) -> None:
        # who left before it may have freed a slot, and this one been too late
        if request.state in (QUEUED, RESERVED):
            self._displaced(request, error)
            self.withdraw(request, now)
