"""Where to cut a batch that padding would make much larger."""

import math
from bisect import bisect_left
from collections.abc import Sequence

from trtasync.scheduler.batches import Batch
from trtasync.scheduler.options import padded
from trtasync.scheduler.requests import Entry
from trtasync.scheduler.slot_pool import SlotLike

EXTRA = 0.0002
"""Seconds that a batch must get shorter by being cut: the rest is staged again, and one more batch
costs the event loop about 0.05 ms."""


def cut_at(batch: Batch[SlotLike], sizes: Sequence[int], begins: float, haste: float) -> int:
    """Index of the first entry to leave for the next batch; 0 if all should go.

    Without the rest the batch is padded so much less that each of its rows takes less time. Taking
    all of 17 rows means running 32, during which 15 more arrive and 32 are run again: a queue in
    this state stays in it, at twice the latency (docs/policies.md).

    Args:
        batch: about to go; its size is not one of `sizes`, and no entry of it is withdrawn.
        sizes: the only sizes run, ascending.
        begins: when it is predicted to begin.
        haste: safety margin before a deadline, in seconds.
    """
    if batch.size < sizes[0]:
        return 0
    # requests stay whole, so fewer rows than the smaller size may remain
    less = sizes[bisect_left(sizes, batch.size) - 1]
    first = next(n for n, entry in enumerate(batch.entries) if entry.row + entry.rows > less)
    kept = batch.entries[first].row if first else 0
    if not kept or not _is_worth_it(batch, kept, sizes):
        return 0
    return first if _may_wait(batch, first, kept, sizes, begins, haste) else 0


def cut(batch: Batch[SlotLike], first: int) -> list[Entry]:
    """Remove and return the entries from index `first` on, with the rows that they are in."""
    entries, rest = batch.entries[:first], batch.entries[first:]
    sources = {target: source for source, target, _ in batch.moves}  # not executed yet
    for entry in rest:
        entry.row = sources.get(entry.row, entry.row)
    batch.clear()
    for entry in entries:
        batch.add(entry)
    batch.moves = [move for move in batch.moves if move[1] < batch.size]
    return rest


def _is_worth_it(batch: Batch[SlotLike], kept: int, sizes: Sequence[int]) -> bool:
    """Whether a row of the first `kept` takes less time without the others."""
    cost, rows = batch.queue.cost, padded(kept, sizes)
    short, long = cost.seconds(rows), cost.seconds(padded(batch.size, sizes))
    if not cost.known(rows) or long - short < EXTRA:
        return False
    return bool(batch.size * short < kept * long)


def _may_wait(
    batch: Batch[SlotLike], first: int, kept: int, sizes: Sequence[int], begins: float, haste: float
) -> bool:
    """Whether the rest is no more urgent than those kept, and meets its deadlines in the next
    batch."""
    rest = batch.entries[first:]
    if min(entry.level for entry in rest) < max(e.level for e in batch.entries[:first]):
        return False
    earliest = min(entry.deadline for entry in rest)
    if earliest == math.inf:
        return True
    cost = batch.queue.cost
    ends = begins + cost.seconds(padded(kept, sizes))
    ends += cost.seconds(padded(batch.size - kept, sizes))
    return bool(batch.deadline < earliest and ends + haste <= earliest)
