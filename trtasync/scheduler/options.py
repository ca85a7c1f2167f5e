"""User options for forming batches."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyOptions:
    """How batches are formed.

    Attributes:
        max_batch_size: rows of the largest batch.
        batch_sizes: the only sizes run, ascending (padded up to); empty for any size.
        max_queue_size: rows that may wait.
        max_queue_time: longest expected wait of a request in seconds; None for any.
        max_queue_delay: seconds; above 0 selects Triton's rule, not the work-conserving one.
        preferred_batch_size: with `max_queue_delay`, sizes that need not wait; empty for the
            largest.
        lead: seconds before the predicted end of a running batch at which the next may be
            enqueued behind it, on lanes that take several.
    """

    max_batch_size: int
    batch_sizes: tuple[int, ...] = ()
    max_queue_size: int = 4096
    max_queue_time: float | None = None
    max_queue_delay: float = 0.0
    preferred_batch_size: tuple[int, ...] = ()
    lead: float = 0.0


def padded(rows: int, sizes: Sequence[int]) -> int:
    """The smallest of the (ascending) sizes that holds `rows`; `rows` if `sizes` is empty."""
    return sizes[bisect_left(sizes, rows)] if sizes else rows
