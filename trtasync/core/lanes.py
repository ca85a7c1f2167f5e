"""Driving a lane: one batch, a failed batch in halves, and the thread for long runs."""

import queue
import threading
from collections.abc import Callable, Sequence

from trtasync.errors import DeviceLost, RunTooLong, UnevenRows
from trtasync.model.arrays import Array
from trtasync.runtimes import Lane, Slot, Times
from trtasync.scheduler import LaneState
from trtasync.system.threads import start_thread


class Outcome:
    """How a batch ended.

    Attributes:
        times: seconds per stage; None if it failed or was not timed.
        error: why the batch failed as a whole; None if it did not.
        lost: the lane cannot be used again.
        pieces: after a run in halves, the outputs or the error of each entry.
    """

    __slots__ = ("error", "lost", "pieces", "times")

    def __init__(self, times: Times | None = None, error: Exception | None = None):
        self.times: Times | None = times
        self.error: Exception | None = error
        self.lost: bool = isinstance(error, DeviceLost)
        self.pieces: Sequence[list[Array] | Exception] = ()


def run(lane: Lane, slot: Slot, rows: int) -> Outcome:
    """Launch a batch and wait for it. Raises no Exception: the outcome has it."""
    try:
        lane.launch(slot, rows)
    except Exception as error:
        return Outcome(error=error)
    return finish(lane, slot, rows)


def finish(lane: Lane, slot: Slot, rows: int) -> Outcome:
    """Wait for a launched batch."""
    try:
        times = lane.wait(slot)
        check_outputs(slot.outputs, rows)
    except Exception as error:
        return Outcome(error=error)
    return Outcome(times)


def check_outputs(outputs: Sequence[Array], rows: int) -> None:
    """Every output must have one row per input row, or rows would be handed to the wrong caller."""
    for index, output in enumerate(outputs):
        if not output.ndim or len(output) != rows:
            raise UnevenRows(
                f"output {index} has shape {output.shape}, rows first, for a batch of {rows} rows: "
                "they do not lie along its batch axis, so they cannot be told apart. Open the "
                "model with batching=False, or name the axis: batch_axes={...}.",
                rows=rows,
            )


def run_in_halves(
    lane: Lane, slot: Slot, counts: Sequence[int], padded: Callable[[int], int]
) -> Outcome:
    """Run a failed batch again in halves until each failing entry has failed alone. A part that
    takes too long fails as a whole: one by one, its entries would hold the lane that many times.

    Entries lie in the slot one after another. A range is moved down to row 0 before it runs, which
    overwrites only rows that are done: ranges are taken from the left.

    Args:
        lane: an idle lane that nothing else uses meanwhile.
        slot: holds the batch.
        counts: rows of each entry.
        padded: rows -> rows to run.

    Returns:
        pieces, one per entry.
    """
    starts = [0]
    for count in counts:
        starts.append(starts[-1] + count)
    outcome = Outcome()
    pieces: list[list[Array] | Exception] = []

    def run_padded(rows: int) -> Outcome:
        if padded(rows) == rows:
            return run(lane, slot, rows)
        behind = slot.save(rows, padded(rows))  # the padding overwrites rows of later ranges
        slot.pad(rows, padded(rows))
        result = run(lane, slot, padded(rows))
        slot.restore(rows, behind)
        return result

    def attempt(low: int, high: int, at: int) -> None:
        rows = starts[high] - starts[low]
        if at:
            slot.move(at, 0, rows)
        if outcome.lost:
            result = Outcome(error=DeviceLost("the stream died under a neighbour of this request."))
        else:
            result = run_padded(rows)
            outcome.lost = result.lost
        if result.error is None:
            for index in range(low, high):
                start = starts[index] - starts[low]
                pieces.append([out[start : start + counts[index]].copy() for out in slot.outputs])
        elif high - low == 1 or outcome.lost or isinstance(result.error, RunTooLong):
            pieces.extend([result.error] * (high - low))
        else:
            halve(low, high)

    def halve(low: int, high: int) -> None:
        middle = (low + high) // 2
        attempt(low, middle, 0)
        attempt(middle, high, starts[middle] - starts[low])

    halve(0, len(counts))
    outcome.pieces = pieces
    return outcome


class Worker:
    """A lane with its thread and its counts.

    Attributes:
        lane: runs batches.
        state: the scheduler's state of it.
        thread: runs what takes long.
        batches: how many have ended.
        on_loop: how many ran on the event loop.
        measured: how many were timed.
        compute: seconds that the timed ones computed, all together.
    """

    __slots__ = ("batches", "compute", "lane", "measured", "on_loop", "state", "thread")

    def __init__(self, lane: Lane, state: LaneState, thread: "LaneThread"):
        self.lane: Lane = lane
        self.state: LaneState = state
        self.thread: LaneThread = thread
        self.batches: int = 0
        self.on_loop: int = 0
        self.measured: int = 0
        self.compute: float = 0.0


class LaneThread:
    """One worker thread, started when first needed: it runs jobs in order and posts nothing itself.

    Guarantees: a job that raises does not end the thread unseen (`died` is called); the thread
    never waits for the event loop; an idle thread sleeps in a queue.
    """

    def __init__(self, name: str, died: Callable[[BaseException], None]):
        self._name = name
        self._died = died
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def put(self, job: Callable[[], None]) -> None:
        """Run a job in the thread, after earlier ones; raises NoThread if it cannot be started."""
        if self._thread is None:
            self._thread = start_thread(self._run, self._name)
        self._jobs.put(job)

    def _run(self) -> None:
        try:
            while (job := self._jobs.get()) is not None:
                job()
                del job  # an idle thread must not keep the last batch's memory alive
        except BaseException as error:
            self._died(error)

    def stop(self) -> None:
        """Let the thread end after its jobs."""
        self._jobs.put(None)

    def join(self, seconds: float) -> bool:
        """Let the thread end after its jobs and wait until it has; False if that takes longer."""
        if self._thread is not None:
            self.stop()
            self._thread.join(seconds)
            if self._thread.is_alive():
                return False
            self._thread = None
        return True
