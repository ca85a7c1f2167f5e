"""The way in: a request reserves its rows, writes them, and commits to them.

`Engine.infer` does the three in one turn of the event loop (`Intake.enter`). Others may take longer
between them, a server that receives a body into the rows, say: nobody waits for such a reservation.
A batch that goes meanwhile goes without it, and what was written moves to memory of its own.
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
"""In one of this many batches the staging of the first row is timed."""

REFUSED = (QueueFull, RequestTooLarge)
"""What `Policy.hold` raises when it has changed nothing."""


class Intake:
    """Lets requests in and out. Lives on the event loop's thread.

    Attributes:
        refusal: what requests fail with from now on, a copy of it; None while all is well.
        stamp: the time stamp of this turn's requests; 0.0 before the first, who looks at
            `refusal` and `leaving` for all of them. So who sets these sets it back to 0.0.
        leaving: those who left by an exception, and whose rows were not seen to yet.
        meter: counts.
    """

    def __init__(
        self,
        policy: Policy[Slot],
        loop: EventLoop,
        meter: Meter,
        fail: Callable[[Reservation, Exception], None],
    ):
        """Let everybody in.

        Args:
            policy: gives the rows.
            loop: is woken for every request.
            meter: counts.
            fail: tells a request that it failed.
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
        """Rows that may wait; 0 while it is settled for each request who gives way."""
        return self._policy.unseen

    def reserve(
        self, signature: Signature[Queue], level: int = DEFAULT_LEVEL, deadline: float = NEVER
    ) -> Reservation:
        """Hold rows for a request that is to be written.

        Args:
            signature: of the request.
            level: its priority, 1 (first) to 9 (last).
            deadline: when nobody will wait for it any more, by the loop's clock.

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
        """Reserve, write and commit in one.

        Args:
            reservation: a new one; its maker takes it back (`leave`) if an exception ends this.
            signature: of the request.
            content: see `Reservation.write`.
            reply: who is told of the answer.
            special: the reservation has a `level` or a `deadline` of its own, or is `unusual`.

        Raises:
            QueueFull, RequestTooLarge, EngineClosed, DeviceLost: see `Engine.infer`.
            BaseException: what reading the content raises.
        """
        reservation.arrival = self.stamp or self.tick()
        reservation.signature = signature
        reservation.state = QUEUED
        reservation.source = content
        reservation.reply = reply  # the last: `leave` knows by it that there is something
        batch: Batch[Slot] | None = signature.queue.forming  # type: ignore[assignment]  # our slots
        if (
            batch is not None
            and (row := batch.size) < batch.room
            and signature.plain
            and not special
        ):
            # One of a crowd, as nearly every request of a busy engine is: `Policy.hold` and
            # `_write_row`, written out.
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
        """Requests of one turn of the loop share one time stamp and wake it once.

        Raises:
            EngineClosed, DeviceLost: whatever refuses all requests.
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
        """`Reservation.commit`, for one that has no rows yet, or is of an earlier turn."""
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
        """A request that holds no rows was written; if it is committed to as well, it gets some."""
        if reservation.state is not QUEUED:
            return
        if reservation.deadline <= reservation.arrival:
            self._policy.expire(reservation, self._now())
        else:
            self._policy.place(reservation)
            self.stage_placements()

    def refuse(self, error: TrtasyncError) -> None:
        """From now on requests get this. Closing is overruled by worse news only."""
        if self.refusal is None or isinstance(self.refusal, EngineClosed):
            self.refusal = error
            self.stamp = 0.0

    def withdraw(self, request: Request) -> None:
        """Nobody waits for a request any more."""
        self._policy.withdraw(request, self._now())

    def drop(self, reservation: Reservation) -> None:
        """See `Reservation.drop`. Whoever waits for its rows gets them in a turn to come."""
        self._loop.wake()
        self.withdraw(reservation)

    # -- content -----------------------------------------------------------------------------

    def views(self, batch: Batch[Slot]) -> Views:
        """Where the rows of a batch lie: its slot, turned to its layout."""
        slot = batch.slot
        if slot.batch is not batch:
            self.turn(batch, reservation_of(batch.entries[0]).signature.layout)
        assert slot.views is not None
        return slot.views

    def turn(self, batch: Batch[Slot], layout: Layout) -> None:
        """Turn the slot of a new batch to its layout."""
        slot, views, copies = batch.slot, batch.slot.views, batch.slot.copies
        # most slots see one layout, and nothing of the batch before is left or on its way there
        busy = copies is not None and (copies.unfinished or copies.problem is not None)
        if slot.holds_more or busy or views is None or views.layout is not layout:
            slot.bind(layout)
        slot.batch = batch

    def written(self, reservation: Reservation) -> None:
        """The content of a request was given as a whole."""
        if reservation.batch is None:
            self.content_without_rows(reservation)
        else:
            self._stage_fresh(reservation, True)

    def _stage_fresh(self, reservation: Reservation, special: bool) -> None:
        """Write a whole request to rows that nobody had before it in this batch.

        Of the first rows of batches some are timed. Once two requests have come, more may follow.
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
        """Stage what got its rows outside of `Policy.hold`."""
        placements = self._policy.placements
        while placements:
            entry = placements[0]
            if entry.state is QUEUED and entry.batch is not None:
                try:
                    self._stage(entry)
                except Exception as error:  # one caller's array must not stop the others
                    self._fail(reservation_of(entry), unstaged(error))
                    self._loop.wake()  # who gets its slot is staged then
            placements.popleft()  # not before it is staged: it may be another caller's

    def _stage(self, entry: Entry) -> None:
        """Stage an entry in rows that others may have had before it."""
        reservation = reservation_of(entry)
        if reservation.source is None:
            return  # it lies in its rows already
        batch = cast(Batch[Slot], entry.batch)
        chunk = entry if isinstance(entry, Chunk) else None
        content = reservation.source if chunk is None else reservation.rows_of(chunk)
        self.views(batch).write(entry.row, entry.rows, content)
        if chunk is not None or not reservation.signature.plain:
            batch.plain = False
        if reservation.unusual:
            self._note_output(batch, entry, 0 if chunk is None else chunk.offset)

    def _note_output(self, batch: Batch[Slot], entry: Entry, offset: int) -> None:
        """The answer to an entry is not simply a row of the batch's output."""
        batch.plain = False
        reservation = reservation_of(entry)
        if reservation.on_device is not None:
            batch.slot.keep_on_device(entry.row, entry.rows, reservation.on_device, offset)

    def keep_content(self, entry: Entry) -> None:
        """The rows of an entry will be somebody else's: what lies only there is copied."""
        reservation = reservation_of(entry)
        if (
            not reservation.handed_out
            or reservation.source is not None
            or reservation.draft is not None
        ):
            return  # it lies elsewhere too, or nothing was written
        rows = [array.copy() for array in reservation.rows_to_write()]
        content = rows[0] if len(rows) == 1 else tuple(rows)
        if reservation.state is RESERVED:
            reservation.draft = content
        else:
            reservation.source = content

    # -- who leaves --------------------------------------------------------------------------

    def leave(self, reservation: Reservation, error: BaseException) -> None:
        """A caller goes without an answer, by an exception: its request leaves the queue.

        It may have come between any two lines of what let the request in, near the limit of the
        stack too. So it is noted first, by opcodes that call nothing; whoever comes next then sees
        to what is left undone here. Every request wakes the loop before it changes anything.

        Args:
            reservation: the caller's; its reply is a future.
            error: why; a request that could not be staged fails with one of ours instead.
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
            # it was waiting for its answer, so all is in order
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
        """Somebody who left was interrupted, in the midst of the scheduler perhaps; or there twice,
        before the scheduler knew of the request and while it was forgotten again."""
        left = [each for each in self.leaving if hasattr(each, "reply")]  # see `leave`
        self._policy.mend(left, self._now())
        for reservation in left:
            reservation.chunks = None
        self.leaving = ()
        self.meter.cancelled += len(left)
        self.stage_placements()


def _write_row(slot: Slot, row: int, content: Staged) -> None:
    """Write a row as it is, by the cheapest way that there is."""
    views = slot.views
    assert views is not None
    if views.vectors is not None:
        try:
            views.vectors[row][:] = content  # type: ignore[call-overload]  # one array
            return
        except (ValueError, TypeError):  # unaligned memory; an array on a device
            pass
    views.write(row, 1, content)
