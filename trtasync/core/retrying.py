"""Running failed batches again in halves, until only the requests at fault fail."""

import logging
from collections.abc import Callable, Sequence
from functools import partial

from trtasync.core.completion import Completion, is_unwanted
from trtasync.core.exceptions import unanswered
from trtasync.core.lanes import Outcome, Worker, run_in_halves
from trtasync.errors import DeviceLost, RunTooLong, UnevenRows
from trtasync.runtimes import Slot
from trtasync.scheduler import Batch
from trtasync.system.threads import NoThread

log: logging.Logger = logging.getLogger("trtasync")


class Retrying:
    """Fails batches, or runs them again. Part of the pump, and on its thread."""

    def __init__(
        self,
        name: str,
        run_rows: Callable[[int], int],
        now: Callable[[], float],
        workers: Sequence[Worker],
        completion: Completion,
        in_thread: Callable[[Batch[Slot], Callable[[], Outcome]], None],
        lane_died: Callable[[int, BaseException | None], None],
        let_go: Callable[[Batch[Slot], float, float | None], None],
    ):
        """Nothing has failed yet.

        Args:
            name: of the engine.
            run_rows: rows -> rows to run, padding included.
            now: the loop's clock.
            workers: the lanes, by index.
            completion: answers requests, or fails them.
            in_thread: runs a job for a batch in its lane's thread, and passes the outcome to the
                pump. Raises NoThread.
            lane_died: goes on without a lane.
            let_go: takes back a batch that has ended.
        """
        self._name = name
        self._run_rows = run_rows
        self._now = now
        self._workers = workers
        self._completion = completion
        self._meter = completion.meter
        self._in_thread = in_thread
        self._lane_died = lane_died
        self._let_go = let_go
        self._warned = False

    def completed_in_pieces(self, batch: Batch[Slot], outcome: Outcome) -> None:
        """Answer or fail each request of a batch that was run again in halves."""
        ended = self._now()
        try:
            self._completion.answer_pieces(batch, outcome.pieces)
            self._completion.count(batch, None, ended, self._now())
        except Exception as error:
            self.unanswered(batch, error)
        self._let_go(batch, self._now(), None)
        if outcome.lost:
            lost = (piece for piece in outcome.pieces if isinstance(piece, DeviceLost))
            self._lane_died(batch.lane, next(lost, None))

    def unanswered(self, batch: Batch[Slot], error: Exception) -> None:
        """Fail a batch that succeeded but could not be answered, say for lack of memory."""
        log.exception("%s: a batch could not be answered", self._name)
        self._completion.fail_batch(batch, unanswered(error))

    def failed(self, batch: Batch[Slot], error: Exception) -> None:
        """Run a failed batch again, or fail it: one bad row must not take its neighbours along."""
        if isinstance(error, RunTooLong):  # keeps the next such run off the loop
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
        """Fail a batch as a whole, without running it again."""
        self._completion.fail_batch(batch, error)
        self._let_go(batch, self._now(), None)
