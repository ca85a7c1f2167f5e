"""How many replicas a load takes: Ray asks `by_load`, as its autoscaling policy."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

UTILISATION, WAIT = "trtasync_utilisation", "trtasync_wait"
"""What replicas tell Ray of themselves; see `load.Load`."""

BUSY = 0.7
"""The utilisation that a replica should have: what remains is for bursts."""

PATIENCE = 0.5
"""Seconds of waiting rows that are worth another replica."""

SLIGHT = 0.1
"""Of a replica: less is not worth one."""


class Context(Protocol):
    """What is used of Ray's `AutoscalingContext`."""

    @property
    def target_num_replicas(self) -> int:
        """Replicas that are wanted now."""

    @property
    def aggregated_metrics(self) -> Mapping[str, Mapping[Any, float]] | None:
        """By name and replica."""


def by_load(context: Context) -> tuple[float, dict[str, Any]]:
    """How many replicas to have, before Ray's bounds and delays; and no state.

    As many as there are now, as long as none has told its load.
    """
    metrics = context.aggregated_metrics or {}
    utilisations = metrics.get(UTILISATION, {})
    if not utilisations:
        return context.target_num_replicas, {}
    return wanted(utilisations.values(), metrics.get(WAIT, {}).values()), {}


def wanted(utilisations: Iterable[float], waits: Iterable[float]) -> float:
    """How many replicas do the work of these at `BUSY`; more only if rows wait.

    Being busy alone is no reason for more: one caller who asks again and again keeps an engine as
    busy as many do, whose requests would share batches.
    """
    needed = sum(min(1.0, each / BUSY) for each in utilisations)
    return max(0.0, needed + sum(waits) / PATIENCE - SLIGHT)
