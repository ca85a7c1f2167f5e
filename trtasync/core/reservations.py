"""The way in: a request reserves its rows, writes them, and commits to them.

`Engine.infer` does the three in one turn of the event loop. Others may take longer between them,
a server that receives a body into the rows, say: nobody waits for such a reservation. A batch that
goes meanwhile goes without it, and what was written moves to memory of its own.
"""

import math
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from trtasync.core.exceptions import own_error, unstaged
from trtasync.core.metrics import Meter
from trtasync.core.replies import UNCOMMITTED, Reply
from trtasync.errors import EngineClosed, InvalidInput, QueueFull, RequestTooLarge, TrtasyncError
from trtasync.loops import EventLoop
from trtasync.memory.slots import Views
from trtasync.requests.answers import LentAnswer
from trtasync.requests.signature import Array, Layout, Signature, Staged
from trtasync.runtimes import Slot
from trtasync.scheduler import Batch, Chunk, Policy, Queue, Request
from trtasync.scheduler.requests import DEFAULT_LEVEL, Entry
from trtasync.scheduler.states import COMMIT, OVER, QUEUED, RESERVED, TRANSITIONS, State

NEVER = math.inf
LEFT = "the engine was closed before this request was complete."

STAGE_SAMPLE = 8
"""In one of this many batches the staging of the first row is timed."""

REFUSED = (QueueFull, RequestTooLarge)
"""What `Policy.hold` raises when it has changed nothing."""


class Reservation(Request):
    """Rows for one request, and then the request itself.

    Made by `Intake.reserve`. Exactly one of `commit` and `drop` ends it.

    Attributes:
        signature: what is known of the request from its shapes.
        source: what is staged, rows first; None while it lies nowhere but in the rows.
        reply: who is told how it ended.
        on_device: device arrays that the answer is written to, when it stays on the device.
        lend: the answer may be views of the slot's memory.
        lent: the answer, if it is such views.
        refused: why it lost its place before it was committed.
        handed_out: its rows were asked for, to be written.
        draft: what was written, where that is not in the rows.
        pieces: outputs of its chunks, by the row they begin with.
    """

    __slots__ = ("intake", "reply", "source")

    state: State
    signature: Signature[Queue]
    batch: Batch[Slot] | None
    intake: "Intake"
    reply: Reply
    source: Staged | None
    on_device: Sequence[Any] | None = None
    lend: bool = False
    lent: LentAnswer[Any] | None = None
    refused: TrtasyncError | None = None
    pieces: dict[int, list[Array]] | None = None
    handed_out: bool = False
    draft: Staged | None = None

    if TYPE_CHECKING:

        def __init__(self) -> None: ...
    else:
        # Empty until `Intake.admit` fills it: an `__init__` of its own costs every request a call.
        __init__ = object.__init__

    def rows_to_write(self) -> Sequence[Array]:
        """Where the content goes: per row input, its rows, batch axis first.

        Valid until control returns to the event loop, and to be asked for again then: rows of a
        batch that goes meanwhile are moved. What is padded or arranged otherwise inside a batch is
        written to memory of its own, and copied when it is complete.
        """
        self.handed_out = True
        # who lost the place is told by `commit`; the rows may be somebody else's by now
        batch = None if self.state is OVER else self.batch
        if self.draft is None and batch is not None and self.signature.lies_as_given:
            views = self.intake.views(batch)
            return [array[self.row : self.row + self.signature.rows] for array in views.inputs]
        if self.draft is None:
            self.draft = self.signature.blank()
        return self.draft if isinstance(self.draft, tuple) else (self.draft,)

    def write(self, content: Staged) -> None:
        """The whole content, to be read until the answer is here.

        The rows are fresh: nobody had them before in this batch.

        Args:
            content: rows first: an array, or, for several row inputs, a tuple of them.

        Raises:
            BaseException: what reading it raises.
        """
        self.source = content
        batch = self.batch
        if batch is None:
            self.intake.content_without_rows(self)
            return
        slot = batch.slot
        if slot.batch is not batch:
            self.intake.stage_first(batch, self)
            return
        views, signature = slot.views, self.signature
        assert views is not None
        if signature.plain and views.vectors is not None:
            try:
                views.vectors[self.row][:] = content  # type: ignore[call-overload]  # one array
            except (ValueError, TypeError):  # unaligned memory; an array on a device
                views.write(self.row, 1, content)
        else:
            views.write(self.row, signature.rows, content)
            if not signature.plain:
                batch.plain = False

    def commit(self, reply: Reply) -> None:
        """The content is complete: from now on the request counts, and `reply` is told.

        Raises:
            InvalidInput: nothing was written: the rows may hold what others left there.
            QueueFull: a more urgent request took its place meanwhile.
            EngineClosed, DeviceLost: the engine ended meanwhile.
        """
        if self.batch is None or self.source is None or self.arrival != self.intake.stamp:
            self.intake.commit_late(self, reply)
            return
        self.reply = reply
        self.state = TRANSITIONS[self.state][COMMIT]

    def drop(self) -> None:
        """Nobody wants the rows any more. After `commit`, or twice: nothing happens."""
        if self.state is RESERVED:
            self.intake.withdraw(self)

    def rows_of(self, chunk: Chunk) -> Staged:
        """What is staged for one chunk of a split request."""
        assert self.source is not None
        rows = slice(chunk.offset, chunk.offset + chunk.rows)
        if isinstance(self.source, tuple):
            return tuple(array[rows] for array in self.source)
        return self.source[rows]


class UnusualReservation(Reservation):
    """A request whose answer is not a copy of its rows: it is lent, or stays on the device."""

    __slots__ = ()

    def write(self, content: Staged) -> None:
        """See `Reservation.write`."""
        super().write(content)
        if self.batch is not None:
            self.intake.note_output(self.batch, self, 0)


def reservation_of(entry: Entry) -> Reservation:
    """The reservation that an entry of a batch is, or is a chunk of."""
    return cast(Reservation, entry.whole if type(entry) is Chunk else entry)


class Intake:
    """Lets requests in and out. Lives on the event loop's thread.

    Attributes:
        refusal: what `admit` raises from now on, a copy of it; None while all is well.
        stamp: the time stamp of this turn's requests; 0.0 before the first.
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
            reservation.source = None
            self.admit(reservation, signature, level, deadline, UNCOMMITTED)
        except REFUSED:
            raise
        except BaseException as error:
            self.leave(reservation, error)
            raise
        return reservation

    def admit(
        self,
        reservation: Reservation,
        signature: Signature[Queue],
        level: int,
        deadline: float,
        reply: Reply,
    ) -> None:
        """`reserve`, for a reservation that its maker can take back if an exception ends this.

        Args:
            reservation: a new one.
            signature: see `reserve`, as for `level` and `deadline`.
            level: of priority.
            deadline: of the caller.
            reply: who writes in this very turn may commit here already, and saves `commit`.
        """
        if self.refusal is not None:
            raise own_error(self.refusal)
        reservation.signature = signature
        reservation.intake = self
        reservation.arrival = self.stamp or self.tick()
        reservation.state = RESERVED if reply is UNCOMMITTED else QUEUED
        reservation.reply = reply  # the last: `leave` knows by it that there is something
        if level is DEFAULT_LEVEL and deadline is NEVER:
            self._hold(reservation, False)
        else:
            reservation.level = level
            reservation.deadline = deadline
            if deadline > reservation.arrival:
                self._hold(reservation, True)
            else:
                reservation.batch = None  # it is not computed, and takes no room
        if not signature.plain and reservation.batch is not None:
            reservation.batch.plain = False

    def tick(self) -> float:
        """Requests of one turn of the loop share one time stamp and wake it once.

        Raises:
            WrongLoop: another loop is running.
        """
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
        """From now on `admit` raises this. Closing is overruled by worse news only."""
        if self.refusal is None or isinstance(self.refusal, EngineClosed):
            self.refusal = error
            self.stamp = 0.0  # reservations of this turn are looked at before they are committed

    def withdraw(self, request: Request) -> None:
        """Nobody waits for a request any more."""
        self._policy.withdraw(request, self._now())

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

    def stage_first(self, batch: Batch[Slot], reservation: Reservation) -> None:
        """Stage the first request of a batch, and sample how long that takes."""
        self.turn(batch, reservation.signature.layout)
        content = reservation.source
        assert content is not None
        self._batches += 1
        if self._batches % STAGE_SAMPLE:
            reservation.write(content)
        else:
            begin = perf_counter()
            reservation.write(content)
            self.meter.stage.add((perf_counter() - begin) / reservation.rows)

    def stage_placements(self) -> None:
        """Stage what got its rows outside of `admit`."""
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
        if isinstance(reservation, UnusualReservation):
            self.note_output(batch, entry, 0 if chunk is None else chunk.offset)

    def note_output(self, batch: Batch[Slot], entry: Entry, offset: int) -> None:
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
        """Somebody who left was interrupted, in the midst of the scheduler perhaps."""
        left = self.leaving
        self._policy.mend(left, self._now())
        for reservation in left:
            reservation.chunks = None
        self.leaving = ()
        self.meter.cancelled += len(left)
        self.stage_placements()
