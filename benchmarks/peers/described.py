"""What is compared of the peers, and what the table says of each beside its figures."""

from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.peers.catalogue import REFERENCE, SYSTEMS, System, pinned
from benchmarks.table import Ratio

RATIO_FIGURES = ("cpu_us", "requests_per_second", "p50_us")


def wanted_ratios(cells: Iterable[str]) -> list[Ratio]:
    """Every peer's figures over ours of the same kind."""
    return [
        Ratio(name, over, figure, "64")
        for name in cells
        for over in [REFERENCE[SYSTEMS[name].kind]]
        for figure in RATIO_FIGURES
        if name != over
    ]


def described(
    systems: Mapping[str, System],
    versions: Mapping[str, Mapping[str, str]],
    failed: Mapping[str, str],
) -> dict[str, dict[str, Any]]:
    """By cell, what the table says of a system beside its figures.

    Args:
        systems: those asked for, by cell, in the table's order.
        versions: of every environment's distributions.
        failed: by cell or by environment, why it was not run.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, system in systems.items():
        installed = {**pinned(system.environment), **versions.get(system.environment, {})}
        reason = failed.get(name, failed.get(system.environment))
        found[name] = {
            "kind": system.kind,
            "title": system.title.format_map(installed),
            "settings": system.settings,
            **({"body": system.body} if system.body else {}),
            **({"not_run": reason} if reason else {}),
        }
    return found
