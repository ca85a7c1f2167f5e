"""Who goes with a batch, by deadlines and padding."""

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
    """Leaves out of batches who would be late, and who is better left for the next one."""

    def __init__(
        self,
        options: PolicyOptions,
        expire: Callable[[Request, float], None],
        keep_content: Callable[[Entry], None],
    ):
        """Trim nothing yet.

        Args:
            options: how batches are formed.
            expire: takes a request out that cannot make its deadline any more.
            keep_content: told of an entry before it goes to other rows.
        """
        self._sizes = options.batch_sizes
        self._capacity = options.max_batch_size
        self._cuts = bool(options.batch_sizes) and options.max_queue_delay == 0.0
        self._expire = expire
        self._keep_content = keep_content
        self.rows: RowAllocator[SlotT]

    def fit(self, queue: Queue, rows: int, begins: float, now: float) -> Fit:
        """How `rows` rows fit into a batch that begins at `begins`."""
        return Fit(queue.cost, self._sizes, self._capacity, rows, begins, now)

    def outlook(self, batch: Batch[SlotT], now: float) -> Fit:
        """How what waits would fit a new batch if that began now."""
        waiting = batch.queue.waiting
        fit = self.fit(batch.queue, waiting.rows, now, now)
        head = waiting.head()
        if head is not None and fit.is_late(head):
            fit.shrink(self._behind(batch))
        return fit

    def turn_away(self, request: Request, fit: Fit, now: float) -> bool:
        """Expire a waiting request that cannot make its deadline any more; True if it was so."""
        if request.placed or not fit.is_late(request):
            return False  # rows of it are on their way, or it is in time
        self._expire(request, now)
        return True

    def shrink(self, batch: Batch[SlotT], fit: Fit, now: float) -> list[Entry]:
        """Leave out of a batch who would be late, and take out those for whom it gets too large.

        Returns:
            those taken out; they make their deadlines in a batch that is to come, or not at all.
        """
        if batch.deadline >= fit.ends:
            return []
        entries = [entry for entry in batch.entries if entry.state is QUEUED]
        # those behind them too: a device that has them for a full batch is not kept from them
        fit.shrink([*entries, *self._behind(batch)])
        for entry in entries:
            if entry.state is QUEUED and fit.is_late(entry):
                self._expire(whole(entry), now)
        left = [entry for entry in entries if entry.state is QUEUED]
        return batch.keep(fit.chosen(left) or left)

    def refill(
        self, batch: Batch[SlotT], behind: Sequence[Batch[SlotT]], begins: float, now: float
    ) -> None:
        """Fill the holes of a batch from those of its queue that form behind it, in order: with
        many slots a queue has no line to fill them from.

        Args:
            batch: about to go; nobody in it has left.
            behind: these batches.
            begins: when it is predicted to begin.
            now: the time.
        """
        rows = batch.size + sum(other.rows for other in behind)
        fit = self.fit(batch.queue, rows, begins, now)
        if batch.deadline < fit.ends:
            return  # it is not to be late for it
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
        """Take out what is better left for the next batch (see `cuts`)."""
        if not self._cuts or not self.rows.slots:
            return []
        first = cut_at(batch, self._sizes, begins, HASTE)
        return cut(batch, first) if first else []

    def _behind(self, batch: Batch[SlotT]) -> list[Entry]:
        """The newest requests of its queue outside a batch: about a batch that forms and one that
        waits."""
        queue = batch.queue
        found = queue.waiting.last(self._capacity)
        for other in reversed(self.rows.forming):
            if other.queue is queue and other is not batch:
                return found + [entry for entry in other.entries if entry.state is QUEUED]
        return found


def _fitting(entries: Iterable[Entry], room: int, fit: Fit) -> Iterator[Entry]:
    """The first of these that find room, none of them late; those behind stay behind."""
    for entry in entries:
        if entry.state is QUEUED and not fit.is_late(entry):
            if entry.rows > room:
                return
            room -= entry.rows
            yield entry
