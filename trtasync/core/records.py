"""What the watcher or observer of an engine is told of requests and batches."""

from typing import NamedTuple, Protocol

from trtasync.core.replies import Reply
from trtasync.core.reservations import reservation_of
from trtasync.loops import Future
from trtasync.runtimes import Slot, Times
from trtasync.scheduler import Batch


class BatchRecord(NamedTuple):
    """One batch that succeeded, as a watcher sees it. Points in time are on the event loop's clock.

    Attributes:
        lane: index of the lane it ran on.
        slot: identifies its slot.
        rows: number of rows in it, padding not included.
        run_rows: number of rows run, padding included.
        arrivals: of its requests and chunks of split requests, in row order.
        started: when it was launched.
        ended: when its end was seen.
        delivered: when its answers were handed out.
        times: seconds of copy in, compute, copy out; None if they were not measured.
        shapes: per input (shape tensors left out) the shape of one row as it was run, padding
            included.
        replies: the replies to these requests, likewise in row order. The attribute `observed` of a
            reply is what an observer knows it by, or what another process said of it.
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
    """Return what a watcher is told of a batch that succeeded."""
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
        """The request is over.

        Args:
            error: why it has no answer, a BaseException that is no Exception if its caller gave up;
                None if it has one.
        """


class Observer(Protocol):
    """Is told of the requests and batches of an engine."""

    def future(self, future: Future, /) -> Future:
        """Return what `infer` awaits in place of `future`; called in its caller's task."""

    def begin(self) -> Observed:
        """A request has reached a server, which has neither a task nor a future for it."""

    def batch(self, record: BatchRecord, /) -> None:
        """A batch succeeded; see `engine.watch`."""
