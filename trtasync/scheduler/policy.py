"""When which rows run where: the one place that decides.

The engine tells it what happens (`submit`, `withdraw`, `finished`, `lane_died`) and asks it what to
do (`next_batch`, until that returns None; then again at `wake_at`). Rows that found a place in a
slot outside the fast path of `submit` are listed in `placements` until the engine has staged them.
"""

import math
from collections.abc import Callable, Iterator, Sequence

from trtasync.errors import QueueFull
from trtasync.scheduler.admission import Admission
from trtasync.scheduler.cuts import cut_at
from trtasync.scheduler.devices import DeviceState
from trtasync.scheduler.fits import Fit
from trtasync.scheduler.options import PolicyOptions
from trtasync.scheduler.parked import Parked
from trtasync.scheduler.places import Places
from trtasync.scheduler.work import (
    DEFAULT_LEVEL,
    Batch,
    Entry,
    Group,
    LaneState,
    Part,
    SlotLike,
    Ticket,
    padded,
)

HASTE = 0.002
"""Seconds before the last moment at which a batch goes because a deadline presses: alarms ring
late and runs vary, and a request for which it went too late would be left out of it."""

BESIDE = 2.0
"""How long a batch waits for company before it goes beside others on a device that has room: at
most so many times what one row takes, less the emptier the device is (docs/policies.md)."""


class Policy:
    """The state of one engine's queue, slots and lanes.

    Attributes:
        queued: rows waiting or forming.
        in_flight: rows running.
        left_out: requests left uncomputed so far because they could not make their deadline.
        wake_at: when to ask `next_batch` again if nothing else happens; inf for never.
        placements: entries to be staged in their `batch` at their `row`, oldest first.
        draining: nothing new will come, so no batch waits for company (`max_queue_delay`).
    """

    def __init__(
        self,
        options: PolicyOptions,
        lanes: Sequence[LaneState],
        slots: Sequence[SlotLike],
        abandoned: Callable[[Batch], Sequence[Entry]] = lambda batch: (),
        displaced: Callable[[Ticket, QueueFull], None] = lambda ticket, error: None,
    ):
        """Args:
        options: how batches are formed.
        lanes: all lanes, by index.
        slots: all slots.
        abandoned: asked when a batch is about to be launched: which of its entries has nobody
            waiting any more, though `withdraw` was not called yet.
        displaced: told of a request that leaves the queue for a more urgent one, and why.
        """
        self._options = options
        self._abandoned = abandoned
        self._displaced = displaced
        self._capacity = options.max_batch_size
        self._admission = Admission(options, self._waiting, self._displace)
        self._unseen = self._admission.unseen
        self._timed = options.max_queue_time is not None
        self._lanes = lanes
        self._slots = slots
        self._devices = {
            device: DeviceState([lane for lane in lanes if lane.device == device])
            for device in dict.fromkeys(lane.device for lane in lanes)
        }
        self._bound = any(slot.lane is not None for slot in slots)
        self._places = Places(
            self._capacity, lanes, slots, self._devices, self._outlook, self._turn_away
        )
        self.placements = self._places.placements
        self._parked = Parked()
        self._lent: list[SlotLike] = []
        self.queued = 0
        self.in_flight = 0
        self.left_out = 0
        self.wake_at = math.inf
        self.draining = False

    # -- what happened ---------------------------------------------------------------------------

    def submit(self, ticket: Ticket, urgent: bool = True) -> Batch | None:
        """Let a request in.

        Args:
            ticket: the request; one with a priority of its own goes by `admit`.
            urgent: it has a deadline; only then is that looked at here.

        Returns:
            the batch in which it has its row, if it could be staged whole at once: the caller
            stages it. Otherwise None: it waits, or its parts are in `placements`.

        Raises:
            QueueFull, RequestTooLarge: `max_queue_size` (or `max_queue_time`) would be exceeded,
                now or by this request alone; nothing has changed then.
        """
        form = ticket.form
        rows = form.rows
        queued = self.queued + rows
        if queued > self._unseen:
            return self.admit(ticket)
        self.queued = queued
        batch: Batch | None = form.group.forming
        if batch is not None and (size := batch.size + rows) <= self._capacity:
            # Batch.add, written out: this is the path of nearly every request.
            ticket.batch = batch
            ticket.row = batch.size
            batch.entries.append(ticket)
            batch.size = size
            if urgent or batch.level > DEFAULT_LEVEL:
                batch.deadline = min(batch.deadline, ticket.deadline)
                batch.level = min(batch.level, ticket.level)
            return batch
        ticket.batch = None
        return self._places.place(ticket)

    def admit(self, ticket: Ticket) -> Batch | None:
        """`submit`, where priorities count: the request has one of its own, or the queue is full.

        Waiting requests of worse priority give way if there is no room otherwise.
        """
        refusal = self._admission.make_room(ticket, self.queued)
        self._unseen = self._admission.unseen
        if refusal is not None:
            raise refusal
        self.queued += ticket.rows
        ticket.batch = None
        batch = self._places.place(ticket)
        self._admission.entered(ticket)
        return batch

    def park(self, ticket: Ticket, now: float) -> None:
        """Keep a request uncomputed until its caller's scope ends (see `Parked`)."""
        self.left_out += 1
        self.wake_at = min(self.wake_at, self._parked.add(ticket, now))

    def withdraw(self, ticket: Ticket, now: float) -> None:
        """Nobody waits for this request any more. Rows that are not running are never computed."""
        ticket.parked = False
        if ticket.gone:
            return
        ticket.gone = True
        self._admission.left(ticket)
        if ticket.batch is not None:
            self._vacate(ticket, now)
            return
        if ticket.placed < ticket.rows:
            self.queued -= ticket.rows - ticket.placed
            ticket.group.waiting.withdraw(ticket)
        for part in ticket.parts or ():
            if part.gone:
                continue
            part.gone = True
            if part.batch is None:
                self.queued -= part.rows
                ticket.group.waiting.withdraw(part)
            else:
                self._vacate(part, now)

    def finished(self, batch: Batch, now: float, seconds: float | None, lent: bool = False) -> None:
        """A batch is done, its answers are out and its slot can be used again.

        Args:
            batch: as `next_batch` returned it.
            now: the time.
            seconds: how long it ran; None when that says nothing (it failed).
            lent: not its slot: that comes with `returned`. See `can_lend`.
        """
        lane = self._lanes[batch.lane]
        self.in_flight -= batch.size
        if self._timed:
            self._admission.finished(batch, self.queued, now)
            self._unseen = self._admission.unseen
        if seconds is not None:
            batch.group.cost.learn(batch.run_rows, seconds, now)
        self._devices[lane.device].finished(batch, lane, now, seconds is not None)
        if lent:
            self._lent.append(batch.slot)
        else:
            self._give_back(batch.slot, now)

    def is_free(self, slot: SlotLike) -> bool:
        """Nothing forms or runs in it, and nothing of it is lent."""
        return self._places.is_free(slot)

    def can_lend(self, slot: SlotLike) -> bool:
        """Whatever becomes of this slot, others are left to serve everybody: one per lane."""
        home = slot.lane
        own = sum(each.lane == home for each in self._slots)
        lent = sum(each.lane == home for each in self._lent)
        kept = 1 if home is not None else sum(lane.alive for lane in self._lanes)
        return own - lent > kept

    def returned(self, slot: SlotLike, now: float) -> None:
        """A slot that was lent can be used again."""
        self._lent.remove(slot)
        self._give_back(slot, now)

    def _give_back(self, slot: SlotLike, now: float) -> None:
        if self._is_usable(slot):
            self._places.give_back(slot, now)

    def _is_usable(self, slot: SlotLike) -> bool:
        return slot.lane is None or self._lanes[slot.lane].alive

    def lane_died(self, index: int, now: float) -> bool:
        """A lane cannot be used again; what was forming for it is formed elsewhere.

        Returns:
            False when no lane is left, or no slot.
        """
        lane = self._lanes[index]
        lane.alive = False
        self._places.forget_lane(index)
        self._places.grant(now)
        # a slot in flight there is lost with it, though it be another lane's
        return any(lane.alive for lane in self._lanes) and any(
            self._is_usable(slot) for slot in self._slots
        )

    def drain(self) -> list[Ticket]:
        """Take out every request that is not running (for an abort)."""
        entries: list[Entry] = [*self._parked.tickets()]
        entries += self._places.clear()
        self._parked.clear()
        self._admission.forget()
        self._unseen = self._admission.unseen
        self.queued = 0
        self.wake_at = math.inf
        tickets = [entry.whole if isinstance(entry, Part) else entry for entry in entries]
        for ticket in tickets:
            ticket.gone, ticket.parked = True, False
            for part in ticket.parts or ():
                part.gone = True
        return list(dict.fromkeys(tickets))

    def mend(self, left: Sequence[Ticket], now: float) -> None:
        """An exception came between any two lines of `submit`, `park` or `withdraw`: those who left
        by it are taken out, and what can be derived is derived anew. O(requests)."""
        for ticket in left:
            ticket.gone, ticket.parked = True, False
            for part in ticket.parts or ():
                part.gone = True
        busy = [*self._lent, *(batch.slot for lane in self._lanes for batch in lane.running)]
        usable = [slot for slot in self._slots if slot not in busy and self._is_usable(slot)]
        self.queued = self._places.mend([ticket.group for ticket in left], usable)
        self._admission.forget()
        self._unseen = self._admission.unseen
        self._places.grant(now)

    def release(self) -> None:
        """Forget the slots: nothing will run any more."""
        self._slots = ()
        self._lent.clear()
        self._places.release_all()

    @property
    def rejected(self) -> int:
        """Requests refused so far with QueueFull."""
        return self._admission.rejected

    def unanswered(self) -> int:
        """Requests that are in here: waiting, forming, running or left uncomputed. O(requests)."""
        entries: list[Entry] = [*self._parked.tickets(), *self._places.entries()]
        running = [batch for lane in self._lanes for batch in lane.running]
        entries += [entry for batch in running for entry in batch.entries if not entry.gone]
        return len({id(entry.whole if isinstance(entry, Part) else entry) for entry in entries})

    # -- what to do ------------------------------------------------------------------------------

    def next_batch(self, now: float) -> Batch | None:
        """The batch to launch now, or None until something happens or `wake_at` comes.

        The caller makes the batch's `moves`, then stages `placements`, then launches it on lane
        `batch.lane` with `batch.run_rows` rows.
        """
        self.wake_at = math.inf
        if self._parked:
            self._unpark(now)
        places = self._places
        while places.forming:
            if self._bound and len(self._devices) > 1:
                places.spread(now)
            choice = self._choose(now)
            if choice is None:
                return None
            if self._close(*choice, now):
                return choice[0]
        return None

    def _choose(self, now: float) -> tuple[Batch, LaneState] | None:
        """Of the batches that should go now the most urgent one: between shapes the oldest first,
        like inside one.

        A batch that would still grow goes before its time when it comes before a ripe one of the
        same device: ripe ones may follow one another for ever and keep a rare shape waiting.
        """
        forming = self._places.forming
        if len(forming) == 1:  # one shape, which is what most engines see
            lane = self._lane_for(forming[0], now)
            ripe_alone = lane is not None and self._ripe(forming[0], lane, now)
            return (forming[0], lane) if ripe_alone and lane is not None else None
        ripe: list[tuple[Batch, LaneState]] = []
        growing: list[tuple[Batch, LaneState]] = []
        for batch in forming:
            lane = self._lane_for(batch, now)
            if lane is not None:
                (ripe if self._ripe(batch, lane, now) else growing).append((batch, lane))
        if not ripe:
            return None
        if growing and self._options.max_queue_delay == 0.0:
            devices = {lane.device for _, lane in ripe}
            ripe += [choice for choice in growing if choice[1].device in devices]
        return min(ripe, key=lambda choice: choice[0].urgency) if len(ripe) > 1 else ripe[0]

    def _lane_for(self, batch: Batch, now: float) -> LaneState | None:
        """Where it would go: of the idlest device the lane that is done first; None if all its
        lanes are taken."""
        home = batch.slot.lane
        lanes = self._lanes if home is None else self._devices[self._lanes[home].device].lanes
        if len(lanes) == 1:
            return lanes[0] if lanes[0].free else None
        free = [lane for lane in lanes if lane.free]
        if len(free) > 1:
            return min(free, key=lambda lane: self._load(lane, home, now))
        return free[0] if free else None

    def _load(self, lane: LaneState, home: int | None, now: float) -> tuple[float, ...]:
        busy = self._devices[lane.device].running
        return busy, len(lane.running), lane.ends_at(now), lane.index != home, lane.index

    def _ripe(self, batch: Batch, lane: LaneState, now: float) -> bool:
        """Should it go now? If not, `wake_at` knows when that may change by itself."""
        options = self._options
        rows = batch.rows
        device = self._devices[lane.device]
        waits = options.max_queue_delay > 0.0 and not self.draining
        crowded = device.running > 1 and device.full and not waits
        if crowded and batch.deadline < math.inf and device.pressed:
            return False  # it would gain nothing, and those at work might miss their deadlines
        if batch.size >= self._capacity:
            return True
        latest = math.inf
        if batch.deadline < math.inf:
            latest = batch.deadline - batch.group.cost.seconds(self.run_rows(rows)) - HASTE
        if waits:
            if rows >= min(options.preferred_batch_size, default=self._capacity):
                return True
            return self._due(min(batch.arrival + options.max_queue_delay, latest), now)
        if not device.running:
            return True
        if not lane.running:  # behind another batch it would begin no sooner for having gone early
            if not device.full:
                # the busier the device, the more it is worth not to split what comes in
                patience = BESIDE * device.pressure**2 * batch.group.cost.seconds(self.run_rows(1))
                latest = min(latest, batch.arrival + patience)
            if self._due(latest, now):
                return True
        if device.running > 1:
            return False  # when the next of them ends, the others leave no gap
        # never so early that a batch gets no time to grow beside one that is shorter than the lead
        lead = min(options.lead, batch.group.cost.seconds(self.run_rows(rows)) / 4)
        return self._due(device.ends_at(now) - lead, now)

    def _due(self, when: float, now: float) -> bool:
        if when <= now:
            return True
        self.wake_at = min(self.wake_at, when)
        return False

    def _close(self, batch: Batch, lane: LaneState, now: float) -> bool:
        """Make a batch ready for launch; False if nothing was left of it."""
        group = batch.group
        for entry in self._abandoned(batch):
            self.withdraw(entry.whole if isinstance(entry, Part) else entry, now)
        if not batch.rows:
            return False
        begins, rest, fit = lane.ends_at(now), [], None
        if batch.deadline < math.inf or group.waiting.rows:
            fit = self._fit(group, batch.rows + group.waiting.rows, begins, now)
            rest = self._shrink(batch, fit, now)
            if not batch.rows:
                return False
        if batch.gone:
            batch.compact()
        if fit is not None and batch.size < fit.rows:
            self._places.fill(batch, fit, now)
        rest += self._cut(batch, begins)
        self._places.drop(batch)
        if rest:
            self._places.form_rest(group, rest, now)
        batch.running = True
        batch.lane = lane.index
        batch.started = now
        batch.run_rows = self.run_rows(batch.size)
        self._devices[lane.device].launched(batch, lane, now)
        self.queued -= batch.size
        self.in_flight += batch.size
        if not self._unseen:
            self._admission.launched(batch, self.queued)
            self._unseen = self._admission.unseen
        return True

    def _cut(self, batch: Batch, begins: float) -> list[Entry]:
        """Take out what is better left for the next batch (see `cuts`)."""
        options = self._options
        sizes = options.batch_sizes
        if not sizes or batch.size in sizes:  # nearly every batch
            return []
        if options.max_queue_delay > 0.0 or not self._places.any_free():
            return []
        first = cut_at(batch, sizes, begins, HASTE)
        return batch.cut(first) if first else []

    def _fit(self, group: Group, rows: int, begins: float, now: float) -> Fit:
        return Fit(group.cost, self._options.batch_sizes, self._capacity, rows, begins, now)

    def _outlook(self, batch: Batch, now: float) -> Fit:
        """How what waits would fit a new batch if that began now."""
        waiting = batch.group.waiting
        fit = self._fit(batch.group, waiting.rows, now, now)
        head = waiting.head()
        if head is not None and fit.is_late(head):
            fit.shrink(self._places.behind(batch))
        return fit

    def _shrink(self, batch: Batch, fit: Fit, now: float) -> list[Entry]:
        """Leave out of a batch who would be late, and take out those for whom it gets too large.

        Returns:
            those taken out; they make their deadlines in a batch that is to come, or not at all.
        """
        if batch.deadline >= fit.ends:
            return []
        entries = [entry for entry in batch.entries if not entry.gone]
        # those behind them too: a device that has them for a full batch is not kept from them
        fit.shrink([*entries, *self._places.behind(batch)])
        for entry in entries:
            if not entry.gone and fit.is_late(entry):
                self._doom(entry.whole if isinstance(entry, Part) else entry, now)
        left = [entry for entry in entries if not entry.gone]
        return batch.keep(fit.chosen(left) or left)

    def _doom(self, ticket: Ticket, now: float) -> None:
        self.withdraw(ticket, now)
        self.park(ticket, now)

    def _unpark(self, now: float) -> None:
        while (ticket := self._parked.pop_due(now)) is not None:
            self._readmit(ticket)
        self.wake_at = min(self.wake_at, self._parked.next_due)

    def _readmit(self, ticket: Ticket) -> None:
        ticket.group.waiting.sweep()  # it must not come back to life there too
        ticket.parked = ticket.gone = False
        ticket.deadline = math.inf
        ticket.batch, ticket.parts, ticket.placed = None, None, 0
        self.queued += ticket.rows
        batch = self._places.place(ticket)
        if batch is not None:
            self.placements.append(ticket)
        self._admission.entered(ticket)

    def run_rows(self, rows: int) -> int:
        """The allowed batch size for so many rows."""
        sizes = self._options.batch_sizes
        return padded(rows, sizes) if sizes else rows

    def _turn_away(self, ticket: Ticket, fit: Fit, now: float) -> bool:
        """Park a waiting request that cannot make its deadline any more."""
        if ticket.placed or not fit.is_late(ticket):
            return False  # rows of it are on their way, or it is in time
        self._doom(ticket, now)
        return True

    def _vacate(self, entry: Entry, now: float) -> None:
        batch = entry.batch
        assert batch is not None
        if batch.running:
            return
        batch.gone += entry.rows
        self.queued -= entry.rows
        if batch.gone == batch.size:
            self._places.release(batch, now)

    def _waiting(self) -> Iterator[Ticket]:
        """All requests of which nothing has run, each once, older ones of a group first."""
        entries = self._places.entries()
        tickets = dict.fromkeys(
            entry.whole if isinstance(entry, Part) else entry for entry in entries
        )
        return (ticket for ticket in tickets if not ticket.begun)

    def _displace(self, ticket: Ticket, error: QueueFull, now: float) -> None:
        if not ticket.gone:  # who left before it may have freed a slot, and this one been too late
            self._displaced(ticket, error)
            self.withdraw(ticket, now)
