"""From decisions to actions: batches are launched, completed, retried and failed here.

Every event (a request, a completion, the alarm, closing) ends in `Dispatcher.pump`, which asks the
policy what to do and does it. There is no other way from a decision to an action.
"""

import logging
import math
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from time import perf_counter
from typing import Any

import anyio

from trtasync.core.delivery import Delivery, record_of, unanswered
from trtasync.core.lanes import LaneThread, Outcome, finish, run, run_in_halves
from trtasync.core.metrics import BatchRecord, LaneStatistics, Statistics
from trtasync.core.reservations import Reservation, own_error, reservation_of
from trtasync.core.watchdog import STOPPING, Stoppable, Watchdog, WatchedLane
from trtasync.errors import (
    DeviceLost,
    EngineClosed,
    InferenceError,
    QueueFull,
    RunTooLong,
    TrtasyncError,
    UnevenRows,
)
from trtasync.loops import Future, current_loop
from trtasync.memory.slots import Views
from trtasync.runtimes import Backend, Lane, OpenLane, Slot
from trtasync.scheduler import Batch, LaneState, Policy, PolicyOptions
from trtasync.system.threads import NoThread, start_thread

log = logging.getLogger("trtasync")


STAGE_SAMPLE = 8
"""Of so many batches one has the staging of its first row timed."""

WORTH_A_HOP = 300e-6
"""Seconds from which a run gains by its own thread when another lane has work to do meanwhile.
Shorter runs were faster one after another on the loop (benchmarks/results/thread_hop.json)."""


LONGEST_PASS = 4
"""Times `loop_budget`: for so long short runs may follow one another on the loop at most, however
long others had it. A burst of 256 requests a turn is served at 53 k/s then, without at 6 k/s, with
most of it refused (2 cores, runs of 30 us, batches of 8)."""

UNUSED = 1.0
"""Seconds after the last large batch from which slots do not keep the memory of such."""

SPIN = 100e-6
"""Seconds for which the loop stays with batches that are predicted to end by then."""


class _Worker:
    """A lane with its thread and its counts."""

    __slots__ = ("batches", "compute", "lane", "measured", "on_loop", "thread")

    def __init__(self, lane: OpenLane, name: str, died: Callable[[BaseException], None]):
        self.lane: Lane = lane.lane
        self.thread = LaneThread(name, died)
        self.batches = 0
        self.on_loop = 0
        self.measured = 0
        self.compute = 0.0


class Dispatcher:
    """Owns the queue, the lanes and the bell of one engine. Lives on the event loop's thread.

    Attributes:
        policy: decides.
        loop: the event loop.
        refusal: what `infer` raises from now on, a copy of it; None while all is well.
        stamp: the time stamp of this loop iteration's requests; 0.0 before the first.
        watcher: is told of every batch that went well; None, or nobody is.
    """

    def __init__(
        self,
        name: str,
        backend: Backend,
        lanes: Sequence[OpenLane],
        options: PolicyOptions,
        loop_budget: float,
        run_timeout: float | None,
    ):
        """Set up queue and lanes for the current event loop.

        Args:
            name: of the engine.
            backend: the opened model.
            lanes: its lanes, by index.
            options: how batches are formed.
            loop_budget: seconds a run may take on the event loop.
            run_timeout: seconds after which a run is ended; None for never.
        """
        self._name = name
        self._backend = backend
        self._loop_budget = loop_budget
        # Runs that are shorter still may follow one another without a turn of the loop between.
        self._pass_budget = loop_budget / 4
        self._longest_pass = LONGEST_PASS * loop_budget
        self._pass = self._pass_budget
        self._left = 0.0
        self._spin_budget = min(SPIN, loop_budget)
        self._states = [
            LaneState(index, lane.lane.device, lane.lane.depth) for index, lane in enumerate(lanes)
        ]
        self._workers = [
            _Worker(lane, f"trtasync {name} lane {index}", partial(self._thread_died, index))
            for index, lane in enumerate(lanes)
        ]
        slots = [slot for lane in lanes for slot in lane.slots]
        self.policy = Policy(options, self._states, slots, self._abandoned, self._displaced)
        self.loop = current_loop(self.pump)
        self._now = self.loop.now
        names = [spec.name for spec in backend.spec.outputs]
        self._delivery = Delivery(
            names,
            backend.lends_outputs,
            self.loop.done_error,
            self._withdraw,
            self.policy.can_lend,
            self._came_home,
        )
        self.meter = self._delivery.meter
        self.refusal: TrtasyncError | None = None
        self.stamp = 0.0
        self.watcher: Callable[[BatchRecord], None] | None = None
        self._notes: deque[tuple[Batch, Outcome]] = deque()
        self._deaths: deque[tuple[int, BaseException]] = deque()
        self._home: deque[Any] = deque()
        self._leaving: tuple[Reservation, ...] = ()
        self._polled: list[Batch] = []
        self._staging: list[Batch] = []
        self._grown: set[Slot] = set()
        self._grown_at = 0.0
        self._idle: Future | None = None
        self._warned = False
        self._broken = self._released = False
        self._opened = -1
        self._watchdog: Watchdog | None = None
        if run_timeout is not None:
            watched = [WatchedLane(worker.lane, run_timeout) for worker in self._workers]
            for worker, lane in zip(self._workers, watched, strict=True):
                worker.lane = lane
            self._watchdog = Watchdog(f"trtasync {name} watchdog", watched, self._thread_died)

    # -- a request comes or goes -----------------------------------------------------------------

    def tick(self) -> float:
        """Requests of one loop iteration share one time stamp and one ring of the bell.

        For callers that the loop was asked about: reading their deadline has done that.
        """
        if self._leaving:
            self._mend()
        now = self._now()
        self.loop.wake()
        self.stamp = now
        return now

    def stage_first(self, batch: Batch, reservation: Reservation) -> None:
        """Turn the slot of a new batch to its layout and stage the batch's first request."""
        self._bind(batch)
        signature = reservation.signature
        self._opened += 1
        if self._opened % STAGE_SAMPLE:
            batch.write(reservation.row, signature.rows, reservation.arrays)
        else:
            begin = perf_counter()
            batch.write(reservation.row, signature.rows, reservation.arrays)
            self.meter.stage.add((perf_counter() - begin) / signature.rows)
        batch.plain = batch.plain and reservation.signature.plain

    def stage(self, batch: Batch, entry: Any) -> None:
        """Stage an entry that has its row in a batch."""
        if batch.write is None:
            self._bind(batch)
        reservation = reservation_of(entry)
        whole = entry is reservation
        bare = (
            reservation.signature.plain and reservation.on_device is None and not reservation.lend
        )
        batch.plain = batch.plain and whole and bare
        batch.write(
            entry.row, entry.rows, reservation.arrays if whole else reservation.rows_of(entry)
        )
        if reservation.on_device is not None:
            offset = 0 if whole else entry.offset
            batch.slot.keep_on_device(entry.row, entry.rows, reservation.on_device, offset)

    def _bind(self, batch: Batch) -> None:
        views: Views = batch.slot.bind(batch.queue.layout)
        batch.write = views.write
        batch.vectors = views.vectors

    def stage_placements(self) -> None:
        """Stage what the policy found a place for outside `submit`."""
        placements = self.policy.placements
        while placements:
            entry = placements[0]
            batch = entry.batch
            if not entry.gone and batch is not None:
                try:
                    self.stage(batch, entry)
                except Exception as error:  # one caller's array must not stop the others
                    self._delivery.fail(reservation_of(entry), _unstaged(error))
                    self.loop.wake()  # who gets its slot is staged then
            placements.popleft()  # not before it is staged: it may be another caller's

    def leave(self, reservation: Reservation, error: BaseException) -> None:
        """A caller goes without an answer, by an exception: its request leaves the queue.

        It may have come between any two lines of what let the request in, near the limit of the
        stack too. So it is noted first, by opcodes that call nothing; whoever comes next then sees
        to what is left undone here. Every request rings the bell before it changes anything.

        Args:
            reservation: the request.
            error: why; a request that could not be staged fails with one of ours instead.
        """
        self._leaving = (*self._leaving, reservation)
        self.stamp = 0.0
        if reservation.future.done() and not reservation.future.cancelled():
            # it was answered or failed, and perhaps cancelled before it woke up
            if reservation.lent is not None:
                reservation.lent.release()
            self._leaving = tuple(other for other in self._leaving if other is not reservation)
        elif reservation.future.cancelled() and len(self._leaving) == 1:
            # it was waiting for its answer, so all is in order
            self.loop.wake()
            self.policy.withdraw(reservation, self._now())
            reservation.chunks = None
            self._leaving = ()
            self.meter.cancelled += 1
            self.stage_placements()
        else:
            self.loop.wake()
            self._mend()
            if isinstance(error, Exception):
                self.meter.cancelled -= 1
                self.meter.failed += 1
                raise own_error(_unstaged(error))

    def _mend(self) -> None:
        """Somebody who left was interrupted, in the midst of the policy perhaps."""
        left = self._leaving
        self.policy.mend(left, self._now())
        for reservation in left:
            reservation.chunks = None
        self._leaving = ()
        self.meter.cancelled += len(left)
        self.stage_placements()

    def _came_home(self, slot: Any) -> None:
        """Every answer lent of a slot came back. From any thread."""
        self._home.append(slot)
        if self._released:
            self._home.clear()
        else:
            self.loop.wake_from_thread()

    def _withdraw(self, reservation: Reservation) -> None:
        self.policy.withdraw(reservation, self._now())

    def _abandoned(self, batch: Batch) -> list[Any]:
        """Entries whose caller was cancelled in this loop iteration and has not run yet."""
        if batch.plain:
            return [reservation for reservation in batch.entries if reservation.future.done()]
        return [entry for entry in batch.entries if reservation_of(entry).future.done()]

    def _displaced(self, reservation: Any, error: QueueFull) -> None:
        self._delivery.displace(reservation, error)
        self.loop.wake()  # who gets its slot is staged then

    def statistics(self) -> Statistics:
        """A frozen picture."""
        policy = self.policy
        lanes = tuple(
            LaneStatistics(
                state.alive,
                len(state.running),
                worker.batches,
                worker.on_loop,
                worker.measured,
                worker.compute,
            )
            for state, worker in zip(self._states, self._workers, strict=True)
        )
        return self.meter.snapshot(
            queued=policy.queued,
            in_flight=policy.in_flight,
            waiting=policy.unanswered(),
            rejected=policy.rejected,
            expired=policy.expired,
            lanes=lanes,
        )

    # -- the one door ----------------------------------------------------------------------------

    def pump(self) -> None:
        """The one door: take in what finished, launch what should go, set the alarm."""
        self.stamp = 0.0
        try:
            if self._leaving:
                self._mend()
            if self._notes or self._deaths or self._polled or self._staging or self._home:
                self._collect()
            begin = self._now()
            # As long as the others had the loop, within reason: with less, a burst of requests per
            # turn would be taken in faster than it is served, and mostly to be refused.
            self._pass = min(max(self._pass_budget, begin - self._left), self._longest_pass)
            self._launch_all(begin)
            while self._polled and self._spin(begin):
                self._launch_all(begin)
            if self._polled:
                self.loop.wake()
            wake_at = self.policy.wake_at
            if self._grown:
                wake_at = min(wake_at, self._shrink(begin))
            self.loop.wake_at(wake_at)
            self._left = self._now()
            if self._idle is not None and not self._idle.done() and self.is_idle():
                self._idle.set_result(None)
        except BaseException as error:
            self._break(error)
            if not isinstance(error, Exception):
                raise

    def _shrink(self, now: float) -> float:
        """Large slots that nobody used for a while give their memory back; when to look again."""
        due = self._grown_at + UNUSED
        if now < due:
            return due
        for slot in [slot for slot in self._grown if self.policy.is_free(slot)]:
            slot.shrink()
            self._grown.discard(slot)
        return now + UNUSED if self._grown else math.inf

    def _launch_all(self, begin: float) -> None:
        """Launch what should go."""
        policy = self.policy
        now = self._now()
        while (batch := policy.next_batch(now)) is not None:
            ran_here = self._launch(batch)
            now = self._now()
            if ran_here and now - begin > self._pass:
                # Enough run on the loop: others get their turn before the next batch.
                if policy.queued:
                    self.loop.wake()
                break

    def _spin(self, begin: float) -> bool:
        """Stay with a batch that is about to end; True if some batch ended.

        A turn of the loop takes as long as a small batch does on a GPU, and lets go of the GIL:
        beside a thread that computes in Python that is 5 ms.
        """
        lane = self._states[self._polled[0].lane]
        limit = begin + self._spin_budget
        now = self._now()
        # ends_at is never in the past: an overdue batch is not waited for in here
        while now < limit and lane.ends_at(begin) < limit:
            if self._poll():
                return True
            now = self._now()
        return False

    def _collect(self) -> None:
        """Take in what finished or died elsewhere since the last time."""
        while self._notes:
            self._complete(*self._notes.popleft())
        while self._deaths:
            self._lane_died(*self._deaths.popleft())
        while self._home:
            self.policy.returned(self._home.popleft(), self._now())
        if self._staging:
            waiting, self._staging = self._staging, []
            for batch in waiting:
                if self._states[batch.lane].held:
                    self._staging.append(batch)  # its lane's worker runs another one again
                else:
                    self._launch(batch)
        if self._polled:
            self._poll()

    def _launch(self, batch: Batch) -> bool:
        """Start a batch; True if it was run to its end right here, on the loop."""
        try:
            outcome = self._start(batch)
        except Exception as error:  # a batch's own: its memory, a copy of a row, a thread for it
            if not isinstance(error, TrtasyncError):
                error = InferenceError(f"the batch could not be run: {error!r}")
            self._end_failed(batch, error)
            return False
        if outcome is None:
            return False
        self._complete(batch, outcome)
        return True

    def _start(self, batch: Batch) -> Outcome | None:
        """Start a batch, or note it until all its rows are in its slot; how it ended, if it did."""
        slot, rows = batch.slot, batch.run_rows
        if batch.write is not None:  # otherwise nothing was staged yet
            for move in batch.moves:
                slot.move(*move)
            batch.moves.clear()
        if self.policy.placements:
            self.stage_placements()
        if not slot.staged(self.loop.wake_from_thread):
            self._staging.append(batch)
            return None
        if rows > batch.size:
            slot.pad(batch.size, rows)  # not before the row that it repeats is there
        worker = self._workers[batch.lane]
        lane = worker.lane
        if lane.asynchronous:
            return self._launch_asynchronous(batch, worker)
        if self._is_short(batch) and not self._is_worth_a_hop(batch):
            worker.on_loop += 1
            return run(lane, slot, rows)
        self._in_thread(batch, partial(run, lane, slot, rows))
        return None

    def _launch_asynchronous(self, batch: Batch, worker: _Worker) -> Outcome | None:
        try:
            worker.lane.launch(batch.slot, batch.run_rows)
        except Exception as error:
            return Outcome(error=error)
        if self._is_short(batch):
            worker.on_loop += 1
            self._polled.append(batch)
        else:
            self._wait_in_thread(batch)
        return None

    def _wait_in_thread(self, batch: Batch) -> None:
        """Let a thread wait for a batch that goes on by itself; without one it is polled."""
        lane = self._workers[batch.lane].lane
        try:
            self._in_thread(batch, partial(finish, lane, batch.slot, batch.run_rows))
        except NoThread:
            self._polled.append(batch)

    def _is_short(self, batch: Batch) -> bool:
        """By what was measured it keeps the loop busy no longer than the user allows."""
        bound = batch.queue.cost.bound(batch.run_rows)
        return bound is not None and bound <= self._loop_budget

    def _is_worth_a_hop(self, batch: Batch) -> bool:
        """Another lane could run the next batch meanwhile, and that gains more than the hop costs.

        With one lane, or nothing else to run, a thread never gained anything; with two lanes and
        more work the runs' length decides (benchmarks/results/thread_hop.json).
        """
        if len(self._workers) == 1 or not self.policy.queued:
            return False
        return batch.queue.cost.seconds(batch.run_rows) > WORTH_A_HOP

    def _poll(self) -> bool:
        """Complete the polled batches that are done; True if there were any."""
        polled, self._polled = self._polled, []
        overdue = self._now() - self._longest_pass
        for batch in polled:
            lane = self._workers[batch.lane].lane
            if lane.ready(batch.slot):
                self._complete(batch, finish(lane, batch.slot, batch.run_rows))
            elif self._states[batch.lane].alive:
                if batch.started < overdue:  # not so short after all: polling keeps the loop busy
                    self._wait_in_thread(batch)
                else:
                    self._polled.append(batch)
        return len(self._polled) < len(polled)

    def _in_thread(self, batch: Batch, work: Callable[[], Outcome]) -> None:
        def job() -> None:
            self._notes.append((batch, work()))
            self.loop.wake_from_thread()

        self._workers[batch.lane].thread.put(job)

    def _thread_died(self, index: int, error: BaseException) -> None:
        """Called by a lane's thread as its last act, or by who watches it."""
        self._deaths.append((index, error))
        self.loop.wake_from_thread()

    # -- a batch ends ----------------------------------------------------------------------------

    def _complete(self, batch: Batch, outcome: Outcome) -> None:
        if not self._states[batch.lane].alive:
            return  # a straggler: its requests failed when the lane died
        if isinstance(outcome.error, RunTooLong):  # so the next such run is not for the loop
            batch.queue.cost.learn(batch.run_rows, outcome.error.seconds, self._now())
        if outcome.error is not None and not outcome.lost and len(batch.entries) > 1:
            self._retry(batch, outcome.error)
            return
        worker, times = self._workers[batch.lane], outcome.times
        if outcome.pieces:
            self._states[batch.lane].held -= 1
        lent = 0
        try:
            if outcome.error is None:
                lent = self._deliver(batch, outcome)
            else:
                self._delivery.fail_batch(batch, outcome.error)
        except Exception as error:  # a batch's own: there is no memory for its answers
            log.exception("%s: a batch could not be answered", self._name)
            self._delivery.fail_batch(batch, unanswered(error))
        done = self._now()
        worker.batches += 1
        if batch.slot.let_go():
            self._grown.add(batch.slot)
            self._grown_at = done
        seconds = None
        if times is not None:
            seconds = sum(times)
            worker.measured += 1
            worker.compute += times[1]
        self.policy.finished(batch, done, seconds, lent > 0)
        batch.entries = []  # they point back at the batch: a cycle would wait for the collector
        if outcome.lost:
            lost = (piece for piece in outcome.pieces if isinstance(piece, DeviceLost))
            self._lane_died(batch.lane, outcome.error or next(lost, None))
        if self.policy.placements:
            self.stage_placements()

    def _deliver(self, batch: Batch, outcome: Outcome) -> int:
        """Hand out what a batch gave and count it; returns how many answers are lent."""
        ended, lent = self._now(), 0
        if outcome.pieces:
            self._delivery.answer_pieces(batch, outcome.pieces)
        else:
            lent = self._delivery.answer(batch, batch.slot.outputs)
        self._delivery.count(batch, outcome.times, ended)
        done = self._now()
        self.meter.deliver.add(done - ended)
        if self.watcher is not None:
            self.watcher(record_of(batch, outcome.times, ended, done))
        return lent

    def _end_failed(self, batch: Batch, error: Exception) -> None:
        self._delivery.fail_batch(batch, error)
        batch.slot.let_go()
        self.policy.finished(batch, self._now(), None)
        batch.entries = []

    def _retry(self, batch: Batch, error: Exception) -> None:
        """One bad row must not take its neighbours along: run the batch again in halves."""
        if isinstance(error, UnevenRows) and not self._warned:
            self._warned = True
            log.warning("%s: %s Until then each batch is run again.", self._name, error)
        counts = [entry.rows for entry in batch.entries]
        lane = self._workers[batch.lane].lane
        work = partial(run_in_halves, lane, batch.slot, counts, self.policy.run_rows)
        try:
            self._in_thread(batch, work)
        except NoThread as missing:
            self._end_failed(batch, missing)
            return
        self._states[batch.lane].held += 1
        self.meter.retried += 1

    # -- the end of a lane, of the engine --------------------------------------------------------

    def _lane_died(self, index: int, cause: BaseException | None) -> None:
        """Fail what was running on a lane and go on with the others, if there are any."""
        state = self._states[index]
        if not state.alive:
            return
        log.error("%s: lane %d is dead: %s", self._name, index, cause)
        others = any(other.alive for other in self._states if other is not state)
        words = str(cause).rstrip(".")
        end = "; the engine goes on with the others." if others else "."
        lost = DeviceLost(f"lane {index} died: {words}{end}")
        lost.__cause__ = cause
        for batch in list(state.running):
            # It may run on and write its outputs when nobody expects them: the slot, if it is one
            # that all lanes share, goes with the lane.
            batch.slot.lane = index
            self._delivery.fail_batch(batch, lost)
            batch.slot.let_go()
            self.policy.finished(batch, self._now(), None)
        self._polled = [batch for batch in self._polled if batch.lane != index]
        self._staging = [batch for batch in self._staging if batch.lane != index]
        if not self.policy.lane_died(index, self._now()):
            # what a lost device says of itself names the one thing to do
            remedy = "" if isinstance(cause, DeviceLost) else "; close this engine, open another"
            lost = DeviceLost(f"no lane is left: {words}{remedy}.")
            self.refuse(lost)
            self.fail_waiting(lost)
        self.stage_placements()

    def _break(self, error: BaseException) -> None:
        """A bug in here must not leave callers waiting for ever."""
        message = f"internal error in trtasync, please report it: {error!r}"
        log.critical("%s: %s", self._name, message, exc_info=error)
        self._broken = True
        failure = TrtasyncError(message)
        self.refuse(failure)
        for batch in [batch for state in self._states for batch in state.running]:
            self._delivery.fail_batch(batch, failure)
        self.fail_waiting(failure)
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    def refuse(self, error: TrtasyncError) -> None:
        """From now on `infer` raises this. Closing is overruled by worse news only."""
        if self.refusal is None or isinstance(self.refusal, EngineClosed):
            self.refusal = error

    def fail_waiting(self, error: TrtasyncError) -> None:
        """Fail every request that is not running."""
        for reservation in self.policy.drain():
            self._delivery.fail(reservation, error)

    async def wait_idle(self, patience: float) -> None:
        """Until everything accepted has its answer and nothing is running.

        Args:
            patience: seconds in which some batch has to end, or ten times what it should take;
                what runs is stopped then, and its lane given up if that is of no use.
        """
        stopping = False
        while not self.is_idle():
            running = [batch for state in self._states for batch in state.running]
            times = [batch.queue.cost.seconds(batch.run_rows) for batch in running]
            seconds = STOPPING if stopping else max(patience, 10 * max(times, default=0.0))
            with anyio.move_on_after(seconds) as scope:
                self._idle = self.loop.future()
                self.loop.wake()
                await self._idle
            if not scope.cancelled_caught or not running:
                continue
            still = {batch.lane for state in self._states for batch in state.running}
            still &= {batch.lane for batch in running if batch.running}
            for index in still:
                self._give_up(index, stopping)
            stopping = bool(still) and not stopping

    def _give_up(self, index: int, stopped: bool) -> None:
        """A run does not end: stop it, or, if it was stopped already or cannot be, its lane."""
        lane = self._workers[index].lane
        if isinstance(lane, Stoppable) and not stopped:
            lane.stop()
        else:
            self._lane_died(index, DeviceLost("a run did not end while the engine was closed"))

    def is_idle(self) -> bool:
        """Nothing waits and nothing runs (or nothing ever will, after a bug)."""
        return self._broken or not (self.policy.in_flight or self.policy.unanswered())

    def let_go(self) -> None:
        """Nobody is left to close the engine. From any thread.

        If the loop still runs, it ends the engine, for it may be launching a batch just now.
        """
        for worker in self._workers:
            worker.thread.stop()
        if not self.loop.wake_last(self._end_forgotten):
            self._end_forgotten()

    def _end_forgotten(self) -> None:
        """Free everything in a thread that nobody waits for."""
        self.loop.close()

        def end() -> None:
            try:
                self.teardown()
            except Exception:
                log.exception("%s: it was forgotten, and does not close", self._name)
            self.release()

        if sys.is_finalizing():  # a thread would not run any more, and its start wait for it
            return
        try:
            start_thread(end, f"trtasync {self._name} end")
        except NoThread:
            end()

    def release(self) -> None:
        """Forget all slots: their memory goes now, though the engine may be kept for long."""
        self.loop.close()
        self._released = True
        self._grown.clear()
        self._home.clear()
        self.policy.release()

    def teardown(self) -> None:
        """Join the threads and free the lanes and the model; in a thread, when idle.

        What fails to close does not keep the rest open; the first failure is raised at the end. A
        lane in which a run goes on is left to the process, and the model with it.
        """
        if self._watchdog is not None:
            self._watchdog.close()
        ended = [worker for worker in self._workers if worker.thread.join(STOPPING)]
        with ExitStack() as closing:  # unwinds in reverse order
            if len(ended) == len(self._workers):
                closing.callback(self._backend.close)
            for worker in ended:
                closing.callback(worker.lane.close)


def _unstaged(error: Exception) -> TrtasyncError:
    """What a request fails with that could not be staged."""
    if isinstance(error, TrtasyncError):
        return error
    failure = InferenceError(f"the request could not be staged: {error!r}")
    failure.__cause__ = error
    return failure
