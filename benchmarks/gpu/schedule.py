"""Padded batches as values: those that an engine ran, the best ones for the same requests, and the
cost of padding. Uses no GPU."""

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from trtasync.core.records import BatchRecord


class Run(NamedTuple):
    """One batch of texts of one padded length.

    Attributes:
        rows: requested rows.
        run_rows: rows run, padding included.
        length: tokens of each, padding included.
    """

    rows: int
    run_rows: int
    length: int

    @property
    def tokens(self) -> int:
        """All tokens that were run."""
        return self.run_rows * self.length


def recorded(records: Iterable[BatchRecord]) -> list[Run]:
    """What an engine ran, in the order in which it was launched."""
    in_order = sorted(records, key=lambda record: record.started)
    return [Run(record.rows, record.run_rows, record.shapes[0][0]) for record in in_order]


def full(requests: Mapping[int, int], sizes: Sequence[int], seed: int = 1) -> list[Run]:
    """The fullest possible batches for these requests, if all of them were there from the start.

    Args:
        requests: padded length -> how many.
        sizes: batch sizes, ascending; full ones are of the last.
        seed: of the order, which mixes the lengths.
    """
    runs = []
    for length, count in requests.items():
        whole, rest = divmod(count, sizes[-1])
        runs += [Run(sizes[-1], sizes[-1], length)] * whole
        if rest:
            runs.append(Run(rest, next(size for size in sizes if size >= rest), length))
    random.Random(seed).shuffle(runs)
    return runs


def waste(true_tokens: int, runs: Iterable[Run]) -> dict[str, float]:
    """What was run over what was requested, as factors; their product is the total.

    Args:
        true_tokens: of all requests, before padding.
        runs: all batches that held them.

    Returns:
        by_length: from texts filled up to a padded length; by_rows: from batches filled up to a
        batch size; padding: both.
    """
    asked = run = 0
    for each in runs:
        asked += each.rows * each.length
        run += each.tokens
    return {
        "by_length": asked / true_tokens,
        "by_rows": run / asked,
        "padding": run / true_tokens,
    }
