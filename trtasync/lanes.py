"""Driving a lane: one batch, a failed batch in halves, and the thread for what takes long."""

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from trtasync.backends import Lane, Slot, Times
from trtasync.errors import DeviceLost, InferenceError
from trtasync.requests import Array


@dataclass(slots=True)
class Outcome:
    """How a batch ended.

    Attributes:
        times: per stage; None when it failed.
        seconds: of the whole run, as its thread saw it.
        error: why the batch failed as a whole; None when it did not.
        lost: the lane cannot be used again.
        pieces: after a run in halves: per entry its outputs, or why it failed.
    """

    times: Times | None = None
    seconds: float = 0.0
    error: Exception | None = None
    lost: bool = False
    pieces: list[list[Array] | Exception] = field(default_factory=list)


def run(lane: Lane, slot: Slot, rows: int) -> Outcome:
    """Launch a batch and wait for it. Never raises an Exception: it is in the outcome."""
    begin = perf_counter()
    try:
        lane.launch(slot, rows)
        return finish(lane, slot, rows, begin)
    except Exception as error:
        return failed(error)


def finish(lane: Lane, slot: Slot, rows: int, begin: float) -> Outcome:
    """Wait for a launched batch; `begin` is when it was launched (perf_counter)."""
    try:
        times = lane.wait(slot)
        seconds = perf_counter() - begin
        check_outputs(slot.outputs, rows)
    except Exception as error:
        return failed(error)
    return Outcome(times=times, seconds=seconds)


def failed(error: Exception) -> Outcome:
    """The outcome of a batch that raised."""
    return Outcome(error=error, lost=isinstance(error, DeviceLost))


def check_outputs(outputs: Sequence[Array], rows: int) -> None:
    """Every output must have one row per input row, or rows would be handed to the wrong caller."""
    for index, output in enumerate(outputs):
        if not output.ndim or len(output) != rows:
            raise InferenceError(
                f"output {index} has shape {output.shape} for a batch of {rows} rows: "
                "its first axis is not the batch axis, so its rows cannot be told apart. "
                "Export the model with one batch axis first in every input and output."
            )


def run_in_halves(
    lane: Lane, slot: Slot, counts: Sequence[int], padded: Callable[[int], int]
) -> Outcome:
    """Run a failed batch again in halves until what fails, fails alone.

    Entries lie in the slot one after another. A range is moved down to row 0 before it runs, which
    overwrites only rows that are done: ranges are taken from the left.

    Args:
        lane: idle, and not to be touched by anybody else meanwhile.
        slot: holding the batch.
        counts: rows of each entry.
        padded: rows -> rows to run.

    Returns:
        pieces, one per entry.
    """
    starts = [0]
    for count in counts:
        starts.append(starts[-1] + count)
    outcome = Outcome()

    def attempt(low: int, high: int, at: int) -> None:
        rows = starts[high] - starts[low]
        if at:
            slot.move(at, 0, rows)
        if padded(rows) > rows:
            slot.pad(rows, padded(rows))
        result = failed(DeviceLost("the lane died")) if outcome.lost else None
        result = result or run(lane, slot, padded(rows))
        if result.lost:
            outcome.lost = True
        if result.error is None:
            outcome.pieces += [
                [output[start : start + count].copy() for output in slot.outputs]
                for start, count in zip(
                    (start - starts[low] for start in starts[low:high]),
                    counts[low:high],
                    strict=True,
                )
            ]
        elif high - low == 1 or outcome.lost:
            outcome.pieces += [result.error] * (high - low)
        else:
            halve(low, high)

    def halve(low: int, high: int) -> None:
        middle = (low + high) // 2
        attempt(low, middle, 0)
        attempt(middle, high, starts[middle] - starts[low])

    halve(0, len(counts))
    return outcome


class LaneThread:
    """One worker thread, started when first needed: it runs jobs in order and posts nothing itself.

    Guarantees: a job that raises does not end the thread unseen (`died` is called); the thread
    never waits for the event loop; idle it sleeps in a queue.
    """

    def __init__(self, name: str, died: Callable[[BaseException], None]):
        self._name = name
        self._died = died
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def put(self, job: Callable[[], None]) -> None:
        """Run a job in the thread, after those given before."""
        if self._thread is None:
            # A daemon: an engine that nobody closed must not keep the interpreter from leaving.
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._jobs.put(job)

    def _run(self) -> None:
        try:
            while (job := self._jobs.get()) is not None:
                job()
        except BaseException as error:
            self._died(error)

    def join(self) -> None:
        """Let the thread end after its jobs and wait until it has."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
            self._thread = None
