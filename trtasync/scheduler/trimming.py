"""Which requests go with a batch, by deadlines and padding."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic

from trtasync.scheduler.batches import Batch, RowAllocator
from trtasync.scheduler.cuts import cut, cut_at
from trtasync.scheduler.dispatch import HASTE
from trtasync.scheduler.fits import Fit
from trtasync.scheduler.options import PolicyOptions
from trtasync.scheduler.queues import Queue
from trtasync.scheduler.requests import Entry, Request, whole
from trtasync.scheduler.slot_pool import SlotT
from trtasync.scheduler.states import QUEUED


class Trimming(Generic[SlotT]):
    """Leaves out of batches what would be late, and what is better left for the next one."""

    def __init__(
        self,
        options: PolicyOptions,
        expire: Callable[[Request, float], None],
        keep_content: Callable[[Entry], None],
    ):
        """Trim nothing yet.

        Args:
            options: how batches are formed.
            expire: removes a request that can no longer meet its deadline.
            keep_content: called with an entry before it moves to other rows.
        """
        self._sizes = options.batch_sizes
        self._capacity = options.max_batch_size
        self._cuts = bool(options.batch_sizes) and options.max_queue_delay == 0.0
        self._expire = expire
        self._keep_content = keep_content
        self.rows: RowAllocator[SlotT]

    def fit(self, queue: Queue, rows: int, begins: float, now: float) -> Fit:
        """The fit of `rows` rows in a batch that begins at `begins`."""
        return Fit(queue.cost, self._sizes, self._capacity, rows, begins, now)

    def outlook(self, batch: Batch[SlotT], now: float) -> Fit:
        """The fit of what waits in a new batch that begins now."""
        waiting = batch.queue.waiting
        fit = self.fit(batch.queue, waiting.rows, now, now)
        head = waiting.head()
        if head is not None and fit.is_late(head):
            fit.shrink(self._behind(batch))
        return fit

    def turn_away(self, request: Request, fit: Fit, now: float) -> bool:
        """Expire a waiting request if it can no longer meet its deadline; True if it was
        expired."""
        if request.placed or not fit.is_late(request):
            return False  # some of its rows are under way, or it is in time
        self._expire(request, now)
        return True

    def shrink(self, batch: Batch[SlotT], fit: Fit, now: float) -> list[Entry]:
        """Leave late requests out of a batch, and remove those that would make it too large.

        Returns:
            those removed; they meet their deadlines in a later batch, or not at all.
        """
        if batch.deadline >= fit.ends:
            return []
        entries = [entry for entry in batch.entries if entry.state is QUEUED]
        # with those behind: they may fill a large batch, which a deadline must not prevent
        fit.shrink([*entries, *self._behind(batch)])
        for entry in entries:
            if entry.state is QUEUED and fit.is_late(entry):
                self._expire(whole(entry), now)
        left = [entry for entry in entries if entry.state is QUEUED]
        return batch.keep(fit.chosen(left) or left)

    def refill(
        self, batch: Batch[SlotT], behind: Sequence[Batch[SlotT]], begins: float, now: float
    ) -> None:
        """Fill the holes of a batch from batches of its queue that form behind it, in order: with
        many slots a queue has no line from which to fill them.

        Args:
            batch: about to go; no request in it has left.
            behind: those batches.
            begins: when it is predicted to begin.
            now: the time.
        """
        rows = batch.size + sum(other.rows for other in behind)
        fit = self.fit(batch.queue, rows, begins, now)
        if batch.deadline < fit.ends:
            return  # refilling must not make it late
        for other in behind:
            moved = list(_fitting(other.entries, fit.rows - batch.size, fit))
            for entry in moved:
                self._keep_content(entry)
                batch.add(entry)
                self.rows.placements.append(entry)
            staying = set(other.entries).difference(moved)
            other.entries = [entry for entry in other.entries if entry in staying]
            other.gone += sum(entry.rows for entry in moved)
            if other.gone == other.size:
                self.rows.dissolve(other, now)

    def cut(self, batch: Batch[SlotT], begins: float) -> list[Entry]:
        """Remove what is better left for the next batch (see `cuts`)."""
        if not self._cuts or not self.rows.slots:
            return []
        first = cut_at(batch, self._sizes, begins, HASTE)
        return cut(batch, first) if first else []

    def _behind(self, batch: Batch[SlotT]) -> list[Entry]:
        """The newest requests of its queue outside the batch: about one forming and one waiting
        batch of them."""
        queue = batch.queue
        found = queue.waiting.last(self._capacity)
        for other in reversed(self.rows.forming):
            if other.queue is queue and other is not batch:
                return found + [entry for entry in other.entries if entry.state is QUEUED]
        return found


def _fitting(entries: Iterable[Entry], room: int, fit: Fit) -> Iterator[Entry]:
    """The first of these that fit and are not late; the rest stay behind."""
    for entry in entries:
        if entry.state is QUEUED and not fit.is_late(entry):
            if entry.rows > room:
                return
            room -= entry.rows
            yield entry
