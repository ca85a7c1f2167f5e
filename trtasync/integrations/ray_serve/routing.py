"""Which replica a request goes to: of two, where it waits less by what they can do."""

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # where Ray need not be installed; what is used of it

    class RayRouter:
        """Ray's router, and those of its mixins that a power of two choices has."""

        curr_replicas: Mapping[Any, Any]
        replica_queue_len_cache: Any

        def apply_multiplex_routing(self, pending_request: Any) -> Iterable[Any]:
            """Ids of the replicas that have the model, as long as there are any."""

        def apply_locality_routing(self, pending_request: Any) -> Iterable[Any]:
            """Ids of the replicas that are near, if near ones are preferred."""

else:
    from ray.serve.request_router import FIFOMixin, LocalityMixin, MultiplexMixin, RequestRouter

    class RayRouter(FIFOMixin, LocalityMixin, MultiplexMixin, RequestRouter):
        """See above."""


CAPACITY = "trtasync_capacity"
"""Rows per second, which replicas tell Ray's routers of themselves; see `load.Load`."""


class CapacityRouter(RayRouter):
    """Ray's power of two choices, with queues weighed by what the replicas were measured to do.

    A replica on a GPU twice as fast gets twice as much. Where either queue or either capacity is
    not known yet, Ray's own rule holds: the shorter queue.
    """

    async def choose_replicas(
        self, candidate_replicas: Sequence[Any], pending_request: Any = None
    ) -> list[list[Any]]:
        """See `RequestRouter.choose_replicas`: ranks, to be tried in this order."""
        if pending_request is not None and pending_request.metadata.multiplexed_model_id:
            ids = self.apply_multiplex_routing(pending_request=pending_request)
        else:
            ids = self.apply_locality_routing(pending_request=pending_request)
        known = tuple(ids)
        pair = [self.curr_replicas[each] for each in random.sample(known, min(2, len(known)))]
        queues = [self.replica_queue_len_cache.get(replica.replica_id) for replica in pair]
        return ranked(pair, queues, [replica.routing_stats for replica in pair])


def ranked(
    replicas: Sequence[Any], queues: Sequence[int | None], told: Sequence[Mapping[str, float]]
) -> list[list[Any]]:
    """One rank for each replica, where it waits least first; one for all if that is not known."""
    waits = [
        (queued + 1) / capacity
        for queued, stats in zip(queues, told, strict=True)
        if queued is not None and (capacity := stats.get(CAPACITY, 0.0)) > 0.0
    ]
    if len(waits) < len(replicas):
        return [list(replicas)]
    order = sorted(range(len(replicas)), key=waits.__getitem__)
    return [[replicas[at]] for at in order]
