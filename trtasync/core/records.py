"""What is told of requests and batches to who watches an engine."""

from typing import NamedTuple, Protocol

from trtasync.core.replies import Reply
from trtasync.core.reservations import reservation_of
from trtasync.loops import Future
from trtasync.runtimes import Slot, Times
from trtasync.scheduler import Batch


class BatchRecord(NamedTuple):
    """One batch that went well, for who watches an engine. Times are the event loop's clock.

    Attributes:
        lane: index of the lane it ran on.
        slot: tells the slot it lay in from others.
        rows: that somebody asked for.
        run_rows: that were run, padding included.
        arrivals: of its requests and chunks of split requests, in row order.
        started: when it was launched.
        ended: when its end was seen.
        delivered: when its answers were handed out.
        times: seconds of copy in, compute, copy out; None when they were not measured.
        shapes: per input (shape tensors left out) the shape of one row as it was run, padding
            included.
        replies: who was told of these requests, likewise in row order. What an observer knows one
            by, and what another process said of one, is its attribute `observed`.
    """

    lane: int
    slot: int
    rows: int
    run_rows: int
    arrivals: tuple[float, ...]
    started: float
    ended: float
    delivered: float
    times: tuple[float, float, float] | None
    shapes: tuple[tuple[int, ...], ...] = ()
    replies: tuple[Reply, ...] = ()


def record_of(
    batch: Batch[Slot], times: Times | None, ended: float, delivered: float
) -> BatchRecord:
    """What a watcher is told of a batch that went well."""
    return BatchRecord(
        batch.lane,
        id(batch.slot),
        batch.size,
        batch.run_rows,
        tuple(entry.arrival for entry in batch.entries),
        batch.started,
        ended,
        delivered,
        times,
        reservation_of(batch.entries[0]).signature.layout.shapes,
        tuple(reservation_of(entry).reply for entry in batch.entries),
    )


class Observed(Protocol):
    """A request, as its observer knows it."""

    def end(self, error: BaseException | None) -> None:
        """It is over.

        Args:
            error: why it has no answer; of a request that nobody waits for any more no Exception.
        """


class Observer(Protocol):
    """Who is told of the requests and batches of an engine."""

    def future(self, future: Future, /) -> Future:
        """What stands for the future of an `infer`, made in its caller's task and context."""

    def begin(self) -> Observed:
        """A request has come to a server, which has no task and no future for it."""

    def batch(self, record: BatchRecord, /) -> None:
        """A batch went well; see `engine.watch`."""
