"""Ending runs that exceed `run_timeout`: one thread watches all lanes of an engine."""

import threading
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Protocol, runtime_checkable

from trtasync.errors import DeviceLost, RunTooLong
from trtasync.runtimes import Lane, Slot, Times
from trtasync.system.threads import start_thread

STOPPING = 5.0
"""Seconds within which a stopped run must end: the operator at work is not interrupted."""


@runtime_checkable
class Stoppable(Protocol):
    """A lane whose run can be ended from outside."""

    def stop(self) -> None:
        """End the current run, which then raises; later runs are not affected. From any thread."""


class WatchedLane:
    """Wraps a lane and notes when each run began and was told to stop, by the monotonic clock.

    Attributes:
        since: when `wait` was called for the current run; 0.0 if there is none.
        stopped: when that run was told to stop; 0.0 if it was not.
    """

    def __init__(self, lane: Lane, timeout: float):
        """Wrap a lane.

        Args:
            lane: to be watched.
            timeout: seconds that a run may take.
        """
        self.device: int = lane.device
        self.depth: int = lane.depth
        self.asynchronous: bool = lane.asynchronous
        self.launch: Callable[[Slot, int], None] = lane.launch
        self.ready: Callable[[Slot], bool] = lane.ready
        self.close: Callable[[], None] = lane.close
        if isinstance(lane, Stoppable):  # having `stop` makes this one `Stoppable` too
            self.stop: Callable[[], None] = lane.stop
        self.since: float = 0.0
        self.stopped: float = 0.0
        self._lane = lane
        self._timeout = timeout
        self._lock = threading.Lock()

    def wait(self, slot: Slot) -> Times | None:
        """See `Lane.wait`.

        Raises:
            RunTooLong: it took too long.
        """
        self.since = monotonic()
        try:
            return self._lane.wait(slot)
        except Exception as error:
            if not self.stopped:
                raise
            raise RunTooLong(
                f"the run was ended: it took longer than run_timeout={self._timeout:g} seconds.",
                seconds=self._timeout,
            ) from error
        finally:
            with self._lock:
                self.since = self.stopped = 0.0

    def is_lost(self, now: float) -> bool:
        """Stop a run that takes too long; True if it cannot be stopped or did not stop."""
        with self._lock:
            if not self.since or now - self.since < self._timeout:
                return False
            if not isinstance(self._lane, Stoppable):
                return True
            if self.stopped:
                return now - self.stopped >= STOPPING
            self.stopped = now
            self._lane.stop()
            return False

    def due(self, now: float) -> float:
        """When to look again."""
        since, stopped = self.since, self.stopped
        if stopped:  # its next run must not be looked at later than any other
            return min(stopped + STOPPING, now + self._timeout)
        return (since or now) + self._timeout


class Watchdog:
    """Stops runs that take too long, and gives up lanes on which that does not help."""

    def __init__(
        self,
        name: str,
        lanes: Sequence[WatchedLane],
        lost: Callable[[int, DeviceLost], None],
    ):
        """Start the thread.

        Args:
            name: of the thread.
            lanes: by index; at least one.
            lost: called with a lane's index, once, when it cannot be used again. In this thread.

        Raises:
            NoThread: it cannot be started.
        """
        self._lanes = dict(enumerate(lanes))
        self._lost = lost
        self._ended = threading.Event()
        self._thread = start_thread(self._run, name)

    def _run(self) -> None:
        while self._lanes and not self._ended.wait(self._pause()):
            now = monotonic()
            for index, lane in list(self._lanes.items()):
                if lane.is_lost(now):
                    del self._lanes[index]
                    self._lost(index, DeviceLost("a run still goes on after run_timeout"))

    def _pause(self) -> float:
        """Seconds until a run may be due; one that begins later cannot be due sooner."""
        now = monotonic()
        return max(0.0, min(lane.due(now) for lane in self._lanes.values()) - now)

    def close(self) -> None:
        """Stop watching, and wait for the thread to end."""
        self._ended.set()
        self._thread.join()
