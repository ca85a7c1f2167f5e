"""Where a request goes: what replicas tell, and what the router makes of it."""

from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from support.helpers import row
from trtasync.integrations.ray_serve import Client
from trtasync.integrations.ray_serve.routing import CAPACITY, ranked


@pytest.mark.parametrize(
    ("queues", "capacities", "first"),
    [
        ((10, 10), (100.0, 200.0), "b"),
        ((10, 30), (100.0, 200.0), "a"),
        ((0, 0), (200.0, 100.0), "a"),
    ],
)
def test_it_goes_where_it_waits_less_by_what_replicas_do(
    queues: tuple[int, int], capacities: tuple[float, float], first: str
) -> None:
    ranks = ranked("ab", queues, [{CAPACITY: each} for each in capacities])
    assert ranks == ([["a"], ["b"]] if first == "a" else [["b"], ["a"]])


@pytest.mark.parametrize(
    ("queues", "told"),
    [
        ((None, 1), [{CAPACITY: 1.0}, {CAPACITY: 1.0}]),
        ((1, 1), [{CAPACITY: 1.0}, {}]),
        ((1, 1), [{CAPACITY: 0.0}, {CAPACITY: 1.0}]),
    ],
)
def test_what_is_not_known_is_left_to_rays_own_rule(queues: Any, told: Any) -> None:
    assert ranked("ab", queues, told) == [["a", "b"]]


def test_a_replica_tells_what_it_can_do(double: Any, portal: BlockingPortal) -> None:
    async def told() -> dict[str, float]:
        await Client(double).infer(row(1))
        stats: dict[str, float] = await double.record_routing_stats.remote()
        return stats

    assert portal.call(told)[CAPACITY] > 0.0
