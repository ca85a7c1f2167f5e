"""How many requests a replica may be sent at a time."""

from collections.abc import Mapping
from typing import Any

from trtasync.opening.api import QUEUE_BATCHES, QUEUE_ROWS
from trtasync.opening.backends import BUILT

STREAMS = 2
"""Of an engine that does not say: as many as on a GPU."""


def ongoing_requests(options: Mapping[str, Any]) -> int:
    """`max_ongoing_requests` for a replica whose engine is opened with these options.

    What can run and what may wait, and a batch more, so that a full engine is seen to be full: it
    refuses at once, while Ray's router would let callers wait without telling them. Ray's default
    of 5 leaves no batch to be formed. A request is counted as one row; larger ones fill an engine
    sooner.
    """
    largest = options.get("max_batch_size") or max(
        options.get("batch_sizes") or (BUILT.largest_batch,)
    )
    lanes = (options.get("streams") or STREAMS) * len(options.get("devices") or (0,))
    waiting = options.get("max_queue_size") or max(QUEUE_ROWS, QUEUE_BATCHES * largest)
    return int(lanes * largest + waiting + largest)
