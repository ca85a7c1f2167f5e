"""Closing an engine: wait for what runs, then free everything."""

import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import anyio

from trtasync.core.completion import is_unwanted
from trtasync.core.failing import Failing
from trtasync.core.lanes import Worker
from trtasync.core.pump import Pump
from trtasync.core.watchdog import STOPPING, Stoppable, Watchdog
from trtasync.errors import DeviceLost
from trtasync.loops import EventLoop
from trtasync.system.threads import NoThread, start_thread

log: logging.Logger = logging.getLogger("trtasync")


class Closing:
    """Ends the lanes, the threads and the model of one engine."""

    def __init__(
        self,
        name: str,
        loop: EventLoop,
        pump: Pump,
        failing: Failing,
        workers: Sequence[Worker],
        watchdog: Watchdog | None,
        close_backend: Callable[[], None],
    ):
        """Nothing happens yet.

        Args:
            name: of the engine.
            loop: is woken.
            pump: goes on until the engine is idle.
            failing: knows when that is.
            workers: the lanes, by index.
            watchdog: watches the lanes; None without a `run_timeout`.
            close_backend: frees the model.
        """
        self._name = name
        self._loop = loop
        self._pump = pump
        self._failing = failing
        self._workers = workers
        self._watchdog = watchdog
        self._close_backend = close_backend

    async def wait_idle(self, patience: float) -> None:
        """Wait until every accepted request has its answer and nothing is running.

        Args:
            patience: seconds, or ten times the longest that a running batch should take if that is
                more. A batch that ran all that time is stopped, and its lane given up if that does
                not help.
        """
        stopping = False
        while not self._failing.is_idle():
            running = self._failing.running()
            times = [batch.queue.cost.seconds(batch.run_rows) for batch in running]
            seconds = STOPPING if stopping else max(patience, 10 * max(times, default=0.0))
            with anyio.move_on_after(seconds) as scope:
                self._pump.idle = self._loop.future()
                self._loop.wake()
                await self._pump.idle
            if not scope.cancelled_caught or not running:
                continue
            still = {batch.lane for batch in self._failing.running() if batch in running}
            for index in still:
                self._give_up(index, stopping)
            stopping = bool(still) and not stopping

    def stop_unwanted(self) -> bool:
        """Stop runs whose callers have all gone, on lanes that can stop; True if no other run is
        left."""
        running = self._failing.running()
        wanted = {batch.lane for batch in running if not is_unwanted(batch)}
        for index in {batch.lane for batch in running} - wanted:
            lane = self._workers[index].lane
            if isinstance(lane, Stoppable):
                lane.stop()
            else:
                wanted.add(index)
        return not wanted

    def _give_up(self, index: int, stopped: bool) -> None:
        """Stop a run that does not end; give up its lane if it cannot be stopped, or was before."""
        lane = self._workers[index].lane
        if isinstance(lane, Stoppable) and not stopped:
            lane.stop()
        else:
            lost = DeviceLost("a run did not end while the engine was closed")
            self._pump.lane_died(index, lost)

    def let_go(self) -> None:
        """End an engine that nobody can close any more. From any thread.

        If the loop still runs, it ends the engine, as it may be launching a batch right now.
        """
        for worker in self._workers:
            worker.thread.stop()
        if not self._loop.wake_last(self._end_forgotten):
            self._end_forgotten()

    def _end_forgotten(self) -> None:
        """Free everything, in a thread that nobody waits for."""
        self._loop.close()

        def end() -> None:
            try:
                self.teardown()
            except Exception:
                log.exception("%s: it was forgotten, and does not close", self._name)
            self.release()

        if sys.is_finalizing():  # a new thread would not run, and starting it would hang
            return
        try:
            start_thread(end, f"trtasync {self._name} end")
        except NoThread:
            end()

    def release(self) -> None:
        """Drop all slots, which frees their memory even if the engine object is kept for long."""
        self._loop.close()
        self._pump.release()

    def teardown(self) -> None:
        """Join the threads and free the lanes and the model; in a thread, when idle.

        A part that fails to close does not keep the rest open; the last failure is raised at the
        end. A lane whose run goes on is left to the process, and the model with it.
        """
        if self._watchdog is not None:
            self._watchdog.close()
        ended = [worker for worker in self._workers if worker.thread.join(STOPPING)]
        with ExitStack() as closing:  # unwinds in reverse order
            if len(ended) == len(self._workers):
                closing.callback(self._close_backend)
            for worker in ended:
                closing.callback(worker.lane.close)
