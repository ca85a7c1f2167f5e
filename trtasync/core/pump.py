"""From decisions to actions: batches are launched, run and completed here.

Every event (a request, a completion, the time to wake, closing) ends in `Pump.pump`, which asks the
scheduler what to do and does it. There is no other way from a decision to an action.
"""

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from trtasync.core.completion import Completion
from trtasync.core.exceptions import not_run
from trtasync.core.failing import Failing
from trtasync.core.intake import Intake
from trtasync.core.lanes import Outcome, Worker, check_outputs, finish, run
from trtasync.core.retrying import Retrying
from trtasync.core.shrinking import Shrinking
from trtasync.loops import EventLoop, Future
from trtasync.runtimes import Lane, Slot, Times
from trtasync.scheduler import Batch, Policy
from trtasync.system.threads import NoThread

WORTH_A_HOP = 300e-6
"""Runs longer than this (seconds) gain by a thread of their own when another lane has work too.
Shorter runs were faster one after another on the loop (benchmarks/results/thread_hop.json)."""

LONGEST_PASS = 4
"""Times `loop_budget`: the longest series of short runs on the loop, however long other callbacks
had it. Bursts of 256 requests per turn are served at 53 k/s with such series; at 6 k/s without,
most of them refused (2 cores, runs of 30 us, batches of 8)."""

SPIN = 100e-6
"""Seconds for which the loop keeps polling batches that are predicted to end by then."""


class Pump:
    """Drives the lanes of one engine. Lives on the event loop's thread.

    Attributes:
        flushes: called at the end of every turn in which something may have been answered.
        idle: a future, done when nothing waits and nothing runs; closing the engine awaits it.
    """

    def __init__(
        self,
        name: str,
        policy: Policy[Slot],
        loop: EventLoop,
        workers: Sequence[Worker],
        intake: Intake,
        completion: Completion,
        failing: Failing,
        loop_budget: float,
    ):
        """Wait for the first request.

        Args:
            name: of the engine.
            policy: decides.
            loop: calls `pump`.
            workers: the lanes, by index.
            intake: lets requests in.
            completion: answers them.
            failing: fails what a dead lane or a bug takes down.
            loop_budget: seconds a run may take on the event loop.
        """
        self._policy = policy
        self._loop = loop
        self._now = loop.now
        self._workers = workers
        self._intake = intake
        self._completion = completion
        self._failing = failing
        self._loop_budget = loop_budget
        # Runs may follow one another for this long without a turn of the loop between them.
        self._pass_budget = self._pass = loop_budget / 4
        self._longest_pass = LONGEST_PASS * loop_budget
        self._spin_budget = min(SPIN, loop_budget)
        self._left = 0.0
        self._notes: deque[tuple[Batch[Slot], Outcome]] = deque()
        self._deaths: deque[tuple[int, BaseException]] = deque()
        self._returned: deque[Slot] = deque()
        self._polled: list[Batch[Slot]] = []
        self._staging: list[Batch[Slot]] = []
        self._shrinking = Shrinking(policy.slots)
        self._released = False
        self._retrying = Retrying(
            name,
            policy.run_rows,
            loop.now,
            workers,
            completion,
            self._in_thread,
            self.lane_died,
            self._let_go,
        )
        self.idle: Future | None = None
        self.flushes: tuple[Callable[[], None], ...] = ()

    def pump(self) -> None:
        """The one door: take in what finished, launch what should go, set the time to wake."""
        intake, policy = self._intake, self._policy
        intake.stamp = 0.0
        try:
            if intake.leaving:
                intake.mend()
            if self._notes or self._deaths or self._polled or self._staging or self._returned:
                self._collect()
            begin = self._now()
            # As long as other callbacks had the loop, within bounds: with less, a burst of requests
            # per turn would come in faster than it is served, and most of it would be refused.
            self._pass = min(max(self._pass_budget, begin - self._left), self._longest_pass)
            self._launch_all(begin)
            while self._polled and self._spin(begin):
                self._launch_all(begin)
            if self._polled:
                self._loop.wake()
            wake_at = policy.wake_at
            if self._shrinking.large:
                wake_at = min(wake_at, self._shrinking.shrink(begin))
            if wake_at != self._loop.due:
                self._loop.wake_at(wake_at)
            for flush in self.flushes:
                flush()
            self._left = self._now()
            if self.idle is not None and not self.idle.done() and self._failing.is_idle():
                self.idle.set_result(None)
        except BaseException as error:
            self._failing.break_down(error)
            if self.idle is not None and not self.idle.done():
                self.idle.set_result(None)
            if not isinstance(error, Exception):
                raise

    def _launch_all(self, begin: float) -> None:
        """Launch what should go."""
        policy = self._policy
        now = begin
        batch = policy.next_batch(now)
        while batch is not None:
            ran_here = self._launch(batch)
            now = self._now()
            if ran_here and now - begin > self._pass:
                # The loop ran batches for long enough: other callbacks get a turn before the next.
                if policy.queued:
                    self._loop.wake()
                break
            batch = policy.next_batch(now) if policy.forming else None

    def _spin(self, begin: float) -> bool:
        """Keep polling a batch that is about to end; True if some batch ended.

        A turn of the loop takes as long as a small batch does on a GPU, and it releases the GIL:
        beside a thread that computes in Python, getting it back takes 5 ms.
        """
        state = self._workers[self._polled[0].lane].state
        limit = begin + self._spin_budget
        now = self._now()
        # ends_at is never before `begin`: an overdue batch is polled for the spin budget at most
        while now < limit and state.ends_at(begin) < limit:
            if self._poll():
                return True
            now = self._now()
        return False

    def _collect(self) -> None:
        """Take in what ended, died or came back since the last call."""
        while self._notes:
            self._ended(*self._notes.popleft())
        while self._deaths:
            self.lane_died(*self._deaths.popleft())
        while self._returned:
            self._policy.returned(self._returned.popleft(), self._now())
        if self._staging:
            waiting, self._staging = self._staging, []
            for batch in waiting:
                state = self._workers[batch.lane].state
                if not state.alive:
                    continue  # the lane died under the batch before this one, which failed both
                if state.retrying:
                    self._staging.append(batch)  # its lane's thread is rerunning another batch
                else:
                    self._launch(batch)
        if self._polled:
            self._poll()

    # -- a batch starts --------------------------------------------------------------------------

    def _launch(self, batch: Batch[Slot]) -> bool:
        """Start a batch; True if it was run to its end right here, on the loop."""
        slot, rows = batch.slot, batch.run_rows
        worker = self._workers[batch.lane]
        lane = worker.lane
        try:
            if batch.moves:
                self._make_moves(batch)
            if self._policy.placements:
                self._intake.stage_placements()
            copies = slot.copies
            if (
                copies is not None
                and (copies.unfinished or copies.problem is not None)
                and not copies.done(self._loop.wake_from_thread)
            ):
                self._staging.append(batch)
                return False
            if rows > batch.size:
                slot.pad(batch.size, rows)  # only now: the row that it repeats must be staged
            if not lane.asynchronous and not self._is_for_loop(batch):
                self._in_thread(batch, partial(run, lane, slot, rows))
                return False
        except Exception as error:  # concerns this batch only: memory, a row's copy, a thread
            self._retrying.end_failed(batch, not_run(error))
            return False
        try:
            lane.launch(slot, rows)
        except Exception as error:
            self._retrying.failed(batch, error)
            return True
        if lane.asynchronous:
            self._follow(batch)
            return False
        worker.on_loop += 1
        self._finish(batch, lane)
        return True

    def _make_moves(self, batch: Batch[Slot]) -> None:
        if batch.slot.batch is batch:  # otherwise nothing was staged yet
            for move in batch.moves:
                batch.slot.move(*move)
        batch.moves.clear()

    def _is_for_loop(self, batch: Batch[Slot]) -> bool:
        """Whether a batch is known to be short, and no other lane would gain by a hop to a thread.

        With one lane, or nothing else to run, a thread never gained anything; with several lanes
        and more work the length of the run decides (benchmarks/results/thread_hop.json).
        """
        bound = batch.queue.cost.bound(batch.run_rows)
        if bound is None or bound > self._loop_budget:
            return False
        if len(self._workers) == 1 or not self._policy.queued:
            return True
        return batch.queue.cost.seconds(batch.run_rows) <= WORTH_A_HOP

    def _follow(self, batch: Batch[Slot]) -> None:
        """Poll a batch on an asynchronous lane if it is short, else let a thread wait for it."""
        bound = batch.queue.cost.bound(batch.run_rows)
        if bound is not None and bound <= self._loop_budget:
            self._workers[batch.lane].on_loop += 1
            self._polled.append(batch)
        else:
            self._wait_in_thread(batch)

    def _wait_in_thread(self, batch: Batch[Slot]) -> None:
        """Let a thread wait for a batch on an asynchronous lane; poll it if there is no thread."""
        lane = self._workers[batch.lane].lane
        try:
            self._in_thread(batch, partial(finish, lane, batch.slot, batch.run_rows))
        except NoThread:
            self._polled.append(batch)

    def _poll(self) -> bool:
        """Complete the polled batches that are done; True if there were any."""
        polled, self._polled = self._polled, []
        overdue = self._now() - self._longest_pass
        for batch in polled:
            worker = self._workers[batch.lane]
            if not worker.state.alive:
                continue  # the lane died under the batch before this one, which failed both
            if worker.lane.ready(batch.slot):
                self._finish(batch, worker.lane)
            elif batch.started < overdue:  # not so short after all: polling keeps the loop busy
                self._wait_in_thread(batch)
            else:
                self._polled.append(batch)
        return len(self._polled) < len(polled)

    def _finish(self, batch: Batch[Slot], lane: Lane) -> None:
        """Wait for a launched batch, which is done already or runs inside `wait`; complete it."""
        try:
            times = lane.wait(batch.slot)
            outputs, rows = batch.slot.outputs, batch.run_rows
            for output in outputs:
                if not output.ndim or len(output) != rows:
                    check_outputs(outputs, rows)
        except Exception as error:
            self._retrying.failed(batch, error)
        else:
            self._completed(batch, times)

    def _in_thread(self, batch: Batch[Slot], work: Callable[[], Outcome]) -> None:
        def job() -> None:
            self._notes.append((batch, work()))
            self._loop.wake_from_thread()

        self._workers[batch.lane].thread.put(job)

    def thread_died(self, index: int, error: BaseException) -> None:
        """Note that a lane is dead: its thread has ended, or its run does not. From any thread."""
        self._deaths.append((index, error))
        self._loop.wake_from_thread()

    def returned(self, slot: Slot) -> None:
        """Take back a slot of which no answer is lent any more. From any thread."""
        self._returned.append(slot)
        if self._released:
            self._returned.clear()
        else:
            self._loop.wake_from_thread()

    # -- a batch ends ----------------------------------------------------------------------------

    def _ended(self, batch: Batch[Slot], outcome: Outcome) -> None:
        """Take in a batch that ended in a thread."""
        state = self._workers[batch.lane].state
        if not state.alive:
            return  # a straggler: its requests failed when the lane died
        if outcome.pieces:
            state.retrying -= 1
            self._retrying.completed_in_pieces(batch, outcome)
        elif outcome.error is None:
            self._completed(batch, outcome.times)
        else:
            self._retrying.failed(batch, outcome.error)

    def _completed(self, batch: Batch[Slot], times: Times | None) -> None:
        """Hand out the answers of a batch that succeeded, and count it."""
        ended = self._now()
        seconds = None
        if times is not None:
            seconds = sum(times)
            worker = self._workers[batch.lane]
            worker.measured += 1
            worker.compute += times[1]
        lent = 0
        try:
            lent = self._completion.answer(batch)
            delivered = self._now()
            self._completion.count(batch, times, ended, delivered)
        except Exception as error:  # concerns this batch only: no memory for its answers
            self._retrying.unanswered(batch, error)
            delivered = self._now()
        self._let_go(batch, delivered, seconds, lent > 0)

    def _let_go(
        self, batch: Batch[Slot], now: float, seconds: float | None, lent: bool = False
    ) -> None:
        """Give back the slot of a batch that has ended."""
        self._workers[batch.lane].batches += 1
        slot = batch.slot
        if slot.holds_more and slot.let_go():
            self._shrinking.note(slot, now)
        self._policy.finished(batch, now, seconds, lent)
        batch.entries = []  # they point back at the batch: a cycle would wait for the collector
        if self._policy.placements:
            self._intake.stage_placements()

    def lane_died(self, index: int, cause: BaseException | None) -> None:
        """Go on without a lane, if there are others."""
        if not self._workers[index].state.alive:
            return
        self._polled = [batch for batch in self._polled if batch.lane != index]
        self._staging = [batch for batch in self._staging if batch.lane != index]
        self._failing.lane_died(index, cause)

    def release(self) -> None:
        """Drop all slots, which frees their memory even if the engine object is kept for long."""
        self._released = True
        self._shrinking.forget()
        self._returned.clear()
        self._policy.slots.release()
