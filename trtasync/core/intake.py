"""The way in: a request reserves rows, writes them and commits them.

`Engine.infer` does all three in one turn of the event loop (`Intake.enter`). Others take longer: a
server, for example, receives a body straight into the rows. No batch waits for such a reservation:
a batch launched meanwhile leaves it out, and what was written moves to memory of its own.
"""

import math
from collections.abc import Callable
from time import perf_counter
from typing import cast

from trtasync.core.exceptions import own_error, unstaged
from trtasync.core.metrics import Meter
from trtasync.core.replies import UNCOMMITTED, Reply
from trtasync.core.reservations import Reservation, reservation_of
from trtasync.errors import EngineClosed, InvalidInput, QueueFull, RequestTooLarge, TrtasyncError
from trtasync.loops import EventLoop
from trtasync.memory.slots import Views
from trtasync.requests.signature import Layout, Signature, Staged
from trtasync.runtimes import Slot
from trtasync.scheduler import Batch, Chunk, Policy, Queue, Request
from trtasync.scheduler.requests import DEFAULT_LEVEL, Entry
from trtasync.scheduler.states import COMMIT, OVER, QUEUED, RESERVED, TRANSITIONS

NEVER = math.inf
LEFT = "the engine was closed before this request was complete."

STAGE_SAMPLE = 8
"""One in this many batches has the staging of its first row timed."""

REFUSED = (QueueFull, RequestTooLarge)
"""What `Policy.hold` raises without having changed anything."""


class Intake:
    """Lets requests in and out. Lives on the event loop's thread.

    Attributes:
        refusal: the error that new requests get a copy of; None while requests are accepted.
        stamp: the time stamp of this turn's requests; 0.0 before the first one, which checks
            `refusal` and `leaving` for the whole turn. Setting either must reset it to 0.0.
        leaving: requests that left by an exception and are not cleaned up yet.
        meter: the running counts.
    """

    def __init__(
        self,
        policy: Policy[Slot],
        loop: EventLoop,
        meter: Meter,
        fail: Callable[[Reservation, Exception], None],
    ):
        """Start accepting requests.

        Args:
            policy: assigns rows.
            loop: is woken in every turn with a request.
            meter: the counts to add to.
            fail: fails a request.
        """
        self._policy = policy
        self._loop = loop
        self._now = loop.now
        self._hold = policy.hold
        self.meter = meter
        self._fail = fail
        self._batches = -1
        self.refusal: TrtasyncError | None = None
        self.stamp: float = 0.0
        self.leaving: tuple[Reservation, ...] = ()

    @property
    def limit(self) -> int:
        """Rows that may wait before requests are ranked; 0 while they are ranked."""
        return self._policy.unseen

    def reserve(
        self, signature: Signature[Queue], level: int = DEFAULT_LEVEL, deadline: float = NEVER
    ) -> Reservation:
        """Reserve rows for a request whose content is still to come.

        Args:
            signature: of the request.
            level: its priority, 1 (first) to 9 (last).
            deadline: when its caller gives up, by the loop's clock.

        Raises:
            QueueFull, RequestTooLarge, EngineClosed, DeviceLost: see `Engine.infer`.
        """
        reservation = Reservation()
        try:
            self._reserve(reservation, signature, level, deadline)
        except REFUSED:
            raise
        except BaseException as error:
            self.leave(reservation, error)
            raise
        return reservation

    def _reserve(
        self, reservation: Reservation, signature: Signature[Queue], level: int, deadline: float
    ) -> None:
        reservation.arrival = self.stamp or self.tick()
        reservation.intake = self
        reservation.signature = signature
        reservation.state = RESERVED
        reservation.source = reservation.batch = None
        reservation.level = level
        reservation.deadline = deadline
        reservation.reply = UNCOMMITTED
        if deadline > reservation.arrival:  # otherwise it is not computed, and takes no room
            self._hold(reservation, True)
        if not signature.plain and reservation.batch is not None:
            reservation.batch.plain = False

    def enter(
        self,
        reservation: Reservation,
        signature: Signature[Queue],
        content: Staged,
        reply: Reply,
        special: bool = False,
    ) -> None:
        """Reserve, write and commit in one call.

        Args:
            reservation: a new one. If this raises anything but `REFUSED`, the caller must pass it
                to `leave`.
            signature: of the request.
            content: see `Reservation.write`.
            reply: receives the outcome.
            special: the reservation has a `level` or a `deadline` of its own, or is `unusual`.

        Raises:
            QueueFull, RequestTooLarge, EngineClosed, DeviceLost: see `Engine.infer`.
            BaseException: whatever reading the content raises.
        """
        reservation.arrival = self.stamp or self.tick()
        reservation.signature = signature
        reservation.state = QUEUED
        reservation.source = content
        reservation.reply = reply  # last: it tells `leave` that the request was let in
        batch: Batch[Slot] | None = signature.queue.forming  # type: ignore[assignment]  # our slots
        if (
            batch is not None
            and (row := batch.size) < batch.room
            and signature.plain
            and not special
        ):
            # The common case on a busy engine: `Policy.hold` and `_write_row`, inlined.
            reservation.batch = batch
            reservation.row = row
            batch.entries.append(reservation)
            batch.size = row + 1
            views: Views = batch.slot.views  # type: ignore[assignment]  # or it had no room
            if (vectors := views.vectors) is None:
                views.write(row, 1, content)
                return
            try:
                vectors[row][:] = content  # type: ignore[call-overload]  # one array
            except (ValueError, TypeError):
                views.write(row, 1, content)
        elif special and reservation.deadline <= reservation.arrival:
            reservation.batch = None  # it is not computed, and takes no room
            self.content_without_rows(reservation)
        elif self._hold(reservation, special):
            self._stage_fresh(reservation, special)
        else:
            self.content_without_rows(reservation)

    def tick(self) -> float:
        """Begin a turn, whose requests share one time stamp and wake the loop once.

        Raises:
            EngineClosed, DeviceLost: the `refusal`, if there is one.
            WrongLoop: another loop is running.
        """
        if self.refusal is not None:
            raise own_error(self.refusal)
        loop = self._loop
        loop.check()
        if self.leaving:
            self.mend()
        now = self._now()
        loop.wake()
        self.stamp = now
        return now

    def commit_late(self, reservation: Reservation, reply: Reply) -> None:
        """`Reservation.commit` for one without rows or `source`, or from an earlier turn."""
        if reservation.state is OVER:
            raise own_error(reservation.refused or self.refusal or EngineClosed(LEFT))
        if self.refusal is not None:
            self.withdraw(reservation)
            raise own_error(self.refusal)
        if not reservation.handed_out and reservation.source is None:
            raise InvalidInput("a reservation was committed before its rows were written.")
        if not self.stamp:
            self.tick()
        reservation.reply = reply
        reservation.state = TRANSITIONS[reservation.state][COMMIT]
        if reservation.draft is not None:
            reservation.write(reservation.draft)
        elif reservation.batch is None:
            self.content_without_rows(reservation)

    def content_without_rows(self, reservation: Reservation) -> None:
        """Find rows for a written request that holds none, if it is committed and not too late."""
        if reservation.state is not QUEUED:
            return
        if reservation.deadline <= reservation.arrival:
            self._policy.expire(reservation, self._now())
        else:
            self._policy.place(reservation)
            self.stage_placements()

    def refuse(self, error: TrtasyncError) -> None:
        """Refuse all requests from now on. Replaces an EngineClosed, but no other refusal."""
        if self.refusal is None or isinstance(self.refusal, EngineClosed):
            self.refusal = error
            self.stamp = 0.0

    def withdraw(self, request: Request) -> None:
        """Remove a request that nobody waits for any more."""
        self._policy.withdraw(request, self._now())

    def drop(self, reservation: Reservation) -> None:
        """See `Reservation.drop`. Requests that wait get its rows in a later turn of the loop."""
        self._loop.wake()
        self.withdraw(reservation)

    # -- content -----------------------------------------------------------------------------

    def views(self, batch: Batch[Slot]) -> Views:
        """Return the views of a batch's slot, bound to the batch's layout first if need be."""
        slot = batch.slot
        if slot.batch is not batch:
            self.turn(batch, reservation_of(batch.entries[0]).signature.layout)
        assert slot.views is not None
        return slot.views

    def turn(self, batch: Batch[Slot], layout: Layout) -> None:
        """Bind the slot of a new batch to its layout."""
        slot, views, copies = batch.slot, batch.slot.views, batch.slot.copies
        # rarely needed: most slots see one layout, and the last batch left nothing behind
        busy = copies is not None and (copies.unfinished or copies.problem is not None)
        if slot.holds_more or busy or views is None or views.layout is not layout:
            slot.bind(layout)
        slot.batch = batch

    def written(self, reservation: Reservation) -> None:
        """Take in the content of a request, given as a whole."""
        if reservation.batch is None:
            self.content_without_rows(reservation)
        else:
            self._stage_fresh(reservation, True)

    def _stage_fresh(self, reservation: Reservation, special: bool) -> None:
        """Write a whole request to rows that no other request has held in this batch.

        One batch in `STAGE_SAMPLE` has its first row timed. A plain request that is not the first
        opens the batch up, as more are likely to follow.
        """
        batch, signature, content = reservation.batch, reservation.signature, reservation.source
        assert batch is not None
        assert content is not None
        slot, begin = batch.slot, 0.0
        if slot.batch is not batch:
            self.turn(batch, signature.layout)
            self._batches += 1
            if not self._batches % STAGE_SAMPLE:
                begin = perf_counter()
        if signature.plain:
            _write_row(slot, reservation.row, content)
            if reservation.row and not special:
                self._policy.open_up(batch)
        else:
            batch.plain = False
            self.views(batch).write(reservation.row, signature.rows, content)
        if begin:
            self.meter.stage.add((perf_counter() - begin) / signature.rows)
        if special and reservation.unusual:
            self._note_output(batch, reservation, 0)

    def stage_placements(self) -> None:
        """Stage the entries that got their rows outside `Policy.hold`."""
        placements = self._policy.placements
        while placements:
            entry = placements[0]
            if entry.state is QUEUED and entry.batch is not None:
                try:
                    self._stage(entry)
                except Exception as error:  # one caller's array must not stop the others
                    self._fail(reservation_of(entry), unstaged(error))
                    self._loop.wake()  # to stage the requests that get its slot
            placements.popleft()  # only now: an interruption must not lose another caller's entry

    def _stage(self, entry: Entry) -> None:
        """Stage an entry in rows that other entries may have held."""
        reservation = reservation_of(entry)
        if reservation.source is None:
            return  # its content is in its rows already
        batch = cast(Batch[Slot], entry.batch)
        chunk = entry if isinstance(entry, Chunk) else None
        content = reservation.source if chunk is None else reservation.rows_of(chunk)
        self.views(batch).write(entry.row, entry.rows, content)
        if chunk is not None or not reservation.signature.plain:
            batch.plain = False
        if reservation.unusual:
            self._note_output(batch, entry, 0 if chunk is None else chunk.offset)

    def _note_output(self, batch: Batch[Slot], entry: Entry, offset: int) -> None:
        """Note that the answer to an entry is more than a copy of the batch's output rows."""
        batch.plain = False
        reservation = reservation_of(entry)
        if reservation.on_device is not None:
            batch.slot.keep_on_device(entry.row, entry.rows, reservation.on_device, offset)

    def keep_content(self, entry: Entry) -> None:
        """Copy content that lies only in an entry's rows, which another entry will get."""
        reservation = reservation_of(entry)
        if (
            not reservation.handed_out
            or reservation.source is not None
            or reservation.draft is not None
        ):
            return  # the content is elsewhere too, or nothing was written
        rows = [array.copy() for array in reservation.rows_to_write()]
        content = rows[0] if len(rows) == 1 else tuple(rows)
        if reservation.state is RESERVED:
            reservation.draft = content
        else:
            reservation.source = content

    # -- leaving -----------------------------------------------------------------------------

    def leave(self, reservation: Reservation, error: BaseException) -> None:
        """Remove the request of a caller that an exception ended.

        The exception may have come between any two lines of the admission, even near the limit of
        the stack. So the request is noted first, by opcodes that call nothing; the next `mend` then
        does what is left undone here. It will run: every request wakes the loop before it changes
        anything.

        Args:
            reservation: the caller's; its reply is a future.
            error: what ended it. An Exception in staging is raised again as a TrtasyncError.
        """
        self.leaving = (*self.leaving, reservation)
        self.stamp = 0.0
        reply = getattr(reservation, "reply", None)
        if reply is None:  # it was never let in
            self._forget(reservation)
            if isinstance(error, Exception) and not isinstance(error, TrtasyncError):
                raise unstaged(error)
        elif reply is not UNCOMMITTED and reply.done() and not reply.cancelled():
            # it was answered or failed, and perhaps cancelled before it woke up
            if reservation.lent is not None:
                reservation.lent.release()
            self._forget(reservation)
        elif reply is not UNCOMMITTED and reply.cancelled() and len(self.leaving) == 1:
            # it was waiting for its answer, so nothing was interrupted halfway
            self._loop.wake()
            self.withdraw(reservation)
            reservation.chunks = None
            self.leaving = ()
            self.meter.cancelled += 1
            self.stage_placements()
        else:
            self._loop.wake()
            self.mend()
            if isinstance(error, Exception):
                self.meter.cancelled -= 1
                self.meter.failed += 1
                raise own_error(unstaged(error))

    def _forget(self, reservation: Reservation) -> None:
        self.leaving = tuple(other for other in self.leaving if other is not reservation)

    def mend(self) -> None:
        """Clean up after requests that were interrupted, perhaps inside the scheduler, or twice:
        before the scheduler knew of the request and while it was being forgotten."""
        left = [each for each in self.leaving if hasattr(each, "reply")]  # see `leave`
        self._policy.mend(left, self._now())
        for reservation in left:
            reservation.chunks = None
        self.leaving = ()
        self.meter.cancelled += len(left)
        self.stage_placements()


def _write_row(slot: Slot, row: int, content: Staged) -> None:
    """Write one row as it is, in the cheapest way."""
    views = slot.views
    assert views is not None
    if views.vectors is not None:
        try:
            views.vectors[row][:] = content  # type: ignore[call-overload]  # one array
            return
        except (ValueError, TypeError):  # unaligned memory; an array on a device
            pass
    views.write(row, 1, content)
