"""How a batch ends: its requests are answered, failed, or run again in halves."""

import logging
from collections.abc import Callable, Sequence
from functools import partial

from trtasync.core.completion import Completion, is_unwanted
from trtasync.core.exceptions import unanswered
from trtasync.core.intake import Intake
from trtasync.core.lanes import Outcome, Worker, run_in_halves
from trtasync.core.shrinking import Shrinking
from trtasync.errors import DeviceLost, RunTooLong, UnevenRows
from trtasync.runtimes import Slot, Times
from trtasync.scheduler import Batch, Policy
from trtasync.system.threads import NoThread

log: logging.Logger = logging.getLogger("trtasync")


class Ending:
    """Takes batches in that have run. Part of the pump, and on its thread."""

    def __init__(
        self,
        name: str,
        policy: Policy[Slot],
        now: Callable[[], float],
        workers: Sequence[Worker],
        intake: Intake,
        completion: Completion,
        shrinking: Shrinking,
        in_thread: Callable[[Batch[Slot], Callable[[], Outcome]], None],
        lane_died: Callable[[int, BaseException | None], None],
    ):
        """Nothing has ended yet.

        Args:
            name: of the engine.
            policy: is told of every end.
            now: the loop's clock.
            workers: the lanes, by index.
            intake: stages what gets the rows that become free.
            completion: answers requests, or fails them.
            shrinking: is told of slots that hold much.
            in_thread: does something about a batch in its lane's thread, and tells the pump of the
                outcome. Raises NoThread.
            lane_died: goes on without a lane.
        """
        self._name = name
        self._policy = policy
        self._run_rows = policy.run_rows
        self._now = now
        self._workers = workers
        self._intake = intake
        self._completion = completion
        self._meter = completion.meter
        self._shrinking = shrinking
        self._in_thread = in_thread
        self._lane_died = lane_died
        self._warned = False

    def completed(self, batch: Batch[Slot], times: Times | None) -> None:
        """A batch went well: hand out its answers, and count it."""
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
        except Exception as error:  # a batch's own: there is no memory for its answers
            self._unanswered(batch, error)
            delivered = self._now()
        self._let_go(batch, delivered, seconds, lent > 0)

    def completed_in_pieces(self, batch: Batch[Slot], outcome: Outcome) -> None:
        """A batch was run again in halves: what could be answered is."""
        ended = self._now()
        try:
            self._completion.answer_pieces(batch, outcome.pieces)
            self._completion.count(batch, None, ended, self._now())
        except Exception as error:
            self._unanswered(batch, error)
        self._let_go(batch, self._now(), None)
        if outcome.lost:
            lost = (piece for piece in outcome.pieces if isinstance(piece, DeviceLost))
            self._lane_died(batch.lane, next(lost, None))

    def _unanswered(self, batch: Batch[Slot], error: Exception) -> None:
        log.exception("%s: a batch could not be answered", self._name)
        self._completion.fail_batch(batch, unanswered(error))

    def failed(self, batch: Batch[Slot], error: Exception) -> None:
        """A batch was run in vain. One bad row must not take its neighbours along."""
        if isinstance(error, RunTooLong):  # so the next such run is not for the loop
            batch.queue.cost.learn(batch.run_rows, error.seconds, self._now())
        lost = isinstance(error, DeviceLost)
        if len(batch.entries) > 1 and not lost and not is_unwanted(batch):
            self._retry(batch, error)
            return
        self.end_failed(batch, error)
        if lost:
            self._lane_died(batch.lane, error)

    def _retry(self, batch: Batch[Slot], error: Exception) -> None:
        """Run a batch again in halves, in its lane's thread."""
        if isinstance(error, UnevenRows) and not self._warned:
            self._warned = True
            log.warning("%s: %s Until then each batch is run again.", self._name, error)
        counts = [entry.rows for entry in batch.entries]
        worker = self._workers[batch.lane]
        try:
            self._in_thread(
                batch, partial(run_in_halves, worker.lane, batch.slot, counts, self._run_rows)
            )
        except NoThread as missing:
            self.end_failed(batch, missing)
            return
        worker.state.retrying += 1
        self._meter.retried += 1

    def end_failed(self, batch: Batch[Slot], error: Exception) -> None:
        self._completion.fail_batch(batch, error)
        self._let_go(batch, self._now(), None)

    def _let_go(
        self, batch: Batch[Slot], now: float, seconds: float | None, lent: bool = False
    ) -> None:
        """Nothing of a batch is needed any more."""
        self._workers[batch.lane].batches += 1
        slot = batch.slot
        if slot.holds_more and slot.let_go():
            self._shrinking.note(slot, now)
        self._policy.finished(batch, now, seconds, lent)
        batch.entries = []  # they point back at the batch: a cycle would wait for the collector
        if self._policy.placements:
            self._intake.stage_placements()
