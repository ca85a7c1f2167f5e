"""Giving up lanes whose batches do not end, where no `run_timeout` bounds them."""

from collections.abc import Callable, Sequence

from trtasync.core.lanes import Worker
from trtasync.core.watchdog import STOPPING, Stoppable
from trtasync.errors import DeviceLost
from trtasync.runtimes import Slot
from trtasync.scheduler import Batch

TIMES_LONGER = 10
"""A batch may run this many times as long as was measured for its size."""

UNMEASURED = 10
"""Factor on the limit for a batch of a size that was never measured: its first run may allocate and
compile."""


class Stalls:
    """Checks the running batches whenever it is told to. On the loop."""

    def __init__(
        self,
        workers: Sequence[Worker],
        running: Callable[[], Sequence[Batch[Slot]]],
        lost: Callable[[int, DeviceLost], None],
    ):
        """Look at nothing yet.

        Args:
            workers: the lanes, by index.
            running: the batches that run.
            lost: called with a lane's index when it cannot be used again.
        """
        self._workers = workers
        self._running = running
        self._lost = lost
        # by lane and time of launch: a batch as the key would keep its memory alive
        self._ages: dict[tuple[int, float], float] = {}

    def look(self, seconds: float, limit: float) -> None:
        """Give up lanes whose batches do not end.

        Args:
            seconds: since the last look, not counting those in which this process did not run: a
                suspended machine makes no batch older.
            limit: seconds that any batch may take; inf for no limit.
        """
        before, self._ages = self._ages, {}
        for batch in self._running():
            known = batch.lane, batch.started
            age = self._ages[known] = before[known] + seconds if known in before else 0.0
            over = age - self._longest(batch, limit)
            if over >= 0:
                self._end(batch.lane, age, is_stopping=over < STOPPING)

    def _longest(self, batch: Batch[Slot], limit: float) -> float:
        known = batch.queue.cost.bound(batch.run_rows)
        longest = UNMEASURED * limit if known is None else max(limit, TIMES_LONGER * known)
        if self._workers[batch.lane].state.retrying:  # in halves, down to single requests
            return longest * 2 * len(batch.entries)
        return longest

    def _end(self, index: int, age: float, is_stopping: bool) -> None:
        """Stop a run, or give up its lane if it cannot be stopped or stopping did not help."""
        lane = self._workers[index].lane
        if isinstance(lane, Stoppable) and is_stopping:
            lane.stop()
        elif self._workers[index].state.alive:
            self._lost(
                index, DeviceLost(f"a batch has run for {age:.0f} s, and goes on (hang_timeout)")
            )
