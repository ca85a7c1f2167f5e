"""Who reads lines: a plain loop, ours, and those of the peers that can have such a model."""

from collections.abc import Iterable, Iterator

from benchmarks.peers import catalogue
from benchmarks.peers.catalogue import HTTP, IN_PROCESS, OWN, System
from benchmarks.table import Ratio

CALLERS = 16
"""Twice the largest batch: while one is at work, the next is there."""

PLAIN = System(
    "plain",
    IN_PROCESS,
    "ours",
    "the model alone",
    "full batches in a loop, nobody asks",
    worker="benchmarks.recogniser.plain",
)
SERVE = System(
    "trtasync-serve",
    HTTP,
    OWN,
    catalogue.OURS,
    "`trtasync serve`",
    "KServe v2, binary",
    ("oip_command", "1"),
)
CALLED = (
    "trtasync",
    "slab",
    "async-batcher-best",
    "batched-best",
    "aioautobatch-best",
    "fast-dynamic-batcher-best",
    "bentoml",
    "ray-best",
)
SERVED = ("trtasync-best", "mosec-best", "litserve-best", "bentoml-best", "ray-best")
"""At their best settings; PyTriton, whose NumPy is an old one, is left out."""


SETTINGS = {"aioautobatch-best": "`max_delay=0.05`"}
"""Where what the table of peers says goes with the row above."""


def _of_peers(kind: str, keys: Iterable[str]) -> Iterator[System]:
    for key in keys:
        system = catalogue.SYSTEMS[f"{key}/{kind}"]
        yield system._replace(settings=SETTINGS.get(key, system.settings))


SYSTEMS: dict[str, System] = {
    system.cell: system
    for system in (PLAIN, *_of_peers(IN_PROCESS, CALLED), SERVE, *_of_peers(HTTP, SERVED))
}


def over_plain(cell: str, figure: str) -> Ratio:
    """A figure over that of the model alone."""
    return Ratio(cell, PLAIN.cell, figure, str(CALLERS))


def wanted_ratios(cells: Iterable[str]) -> list[Ratio]:
    """What everybody is compared by with the model alone."""
    return [
        over_plain(cell, figure)
        for cell in cells
        for figure in ("requests_per_second", "cpu_us")
        if cell != PLAIN.cell
    ]
