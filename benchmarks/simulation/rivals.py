"""Two policies of other systems: BentoML's adaptive delay, Symphony's deferred batches."""

from collections import deque

from benchmarks.simulation.scenarios import Scenario
from benchmarks.simulation.schedulers import Launch, Line, Request
from trtasync.scheduler.states import OVER

TICK = 1e-3
DECAY = 0.95


class Cork(Line):
    """BentoML's `CorkDispatcher` (src/bentoml/_internal/marshal/dispatcher.py).

    It fits `a n + b` seconds to the last 50 batches, keeps the mean wait `w`, and looks at its
    queue once a millisecond: while a batch runs, or while `n (w_newest + tick + a) <= 0.95 w`, it
    sleeps another tick. A head that would be too late for `goal` is dropped. One batch at a time
    per worker, one worker per device; a batch stays below the largest size; and the newest
    requests go first when not all go, because it pops the end of its deque at which they arrived.

    Differences here: it refits after every 50 batches instead of every five seconds, and it starts
    where its training ends, with the true line.
    """

    def __init__(self, machine: Scenario, goal: float):
        """Begin with idle streams.

        Args:
            machine: whose streams.
            goal: `max_latency`; inf if callers have no deadline.
        """
        super().__init__(machine, 1)
        self._goal = goal
        full = machine.seconds(machine.largest)
        self._a = (full - machine.seconds(1)) / (machine.largest - 1)
        self._b = machine.seconds(1) - self._a
        self._wait = 0.01
        self._look_at = 0.0
        self._seen: deque[tuple[int, float, float]] = deque(maxlen=50)
        self._new = 0

    def next_batch(self, now: float) -> Launch | None:
        while self.queue and (self.queue[0].state is OVER or self._too_late(now)):
            self.queue.popleft()
        if not self.queue:
            self.wake_at = float("inf")
            return None
        if now < self._look_at:
            self.wake_at = self._look_at
            return None
        lane = self._free_lane()
        newest = now - self.queue[-1].arrival
        rows = len(self.queue)
        corked = rows < self.largest and rows * (newest + TICK + self._a) <= DECAY * self._wait
        if lane is None or corked:
            self.wake_at = self._look_at = now + TICK
            return None
        taken = [self.queue.pop() for _ in range(min(rows, self.largest - 1))]
        waiting, self.queue = self.queue, deque(reversed(taken))
        launch = self._launch(lane, now)
        self.queue = waiting
        launch.token = now - min(request.arrival for request in launch.requests)
        return launch

    def finished(self, launch: Launch, now: float, seconds: float) -> None:
        super().finished(launch, now, seconds)
        self._seen.append((len(launch.requests), seconds, launch.token))
        self._new += 1
        if self._new % 50 == 0:
            self._refresh()

    def _too_late(self, now: float) -> bool:
        rows = len(self.queue)
        waited = now - self.queue[0].arrival
        return rows > 1 and waited + self._a * rows + self._b >= self._goal

    def _refresh(self) -> None:
        """Least squares, as numpy's lstsq does it there."""
        count = len(self._seen)
        rows = sum(n for n, _, _ in self._seen) / count
        seconds = sum(t for _, t, _ in self._seen) / count
        square = sum((n - rows) ** 2 for n, _, _ in self._seen)
        if square > 0:
            cross = sum((n - rows) * (t - seconds) for n, t, _ in self._seen)
            self._a = max(1e-6, cross / square)
            self._b = max(0.0, seconds - cross / square * rows)
        self._wait = sum(w for _, _, w in self._seen) / count


class Deferred(Line):
    """Symphony's deferred batch scheduling (arXiv 2308.07470 v2, section 3).

    A batch may go from the *frontrun* moment on, when one more row would make its earliest deadline
    impossible, or when it is full; one batch at a time per device. What can no longer be in time is
    dropped if callers give up, and goes at once otherwise.
    """

    MARGIN = 1.5e-3
    """Seconds that it goes early, for late alarms and noise: with less it misses its deadlines."""

    def __init__(self, machine: Scenario, goal: float, drops: bool):
        super().__init__(machine, 1)
        self._goal = goal
        self._drops = drops

    def hold(self, rows: int, now: float) -> float:
        if rows >= self.largest:
            return now
        return self._latest(self.queue[0], rows + 1) - self.MARGIN

    def _launch(self, lane: int, now: float) -> Launch:
        queue = self.queue
        while self._drops and len(queue) > 1:
            if self._latest(queue[0], min(len(queue), self.largest)) >= now:
                break
            queue.popleft()  # too late; its caller gives up
        return super()._launch(lane, now)

    def _latest(self, request: Request, rows: int) -> float:
        return request.arrival + self._goal - self.machine.seconds(rows)
