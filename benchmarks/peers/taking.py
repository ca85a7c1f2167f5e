"""Rounds of samples as `benchmarks.rounds` takes them, except that a system may drop out."""

import random
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.load import Sample, wait_for_quiet
from benchmarks.peers.catalogue import REFERENCE, SYSTEMS, System, pinned
from benchmarks.peers.reasons import NotRun
from benchmarks.rounds import PATIENCE, Ratio, Round

Measure = Callable[[System], dict[str, Sample]]
RATIO_FIGURES = ("cpu_us", "requests_per_second", "p50_us")


def take(
    cells: Iterable[str], rounds: int, measure: Measure, patience: float = PATIENCE
) -> tuple[list[Round], dict[str, str]]:
    """Measure every cell once per round, each time in another order.

    A cell that fails twice in a row is left out of all rounds.

    Returns:
        The rounds, and by cell the reasons of those left out.
    """
    order = random.Random(1)
    names = list(cells)
    running = list(names)
    taken: list[Round] = []
    failed: dict[str, str] = {}
    began = time.monotonic()
    for number in range(1, rounds + 1):
        order.shuffle(running)
        found: Round = {}
        for name in list(running):
            wait_for_quiet(patience)
            try:
                found[name] = _twice(SYSTEMS[name], measure)
            except NotRun as reason:
                failed[name] = str(reason)
                running.remove(name)
                print(f"{name}: not run: {reason}", file=sys.stderr, flush=True)
        taken.append(found)
        passed = time.monotonic() - began
        print(f"round {number} of {rounds}, {passed:.0f} s", file=sys.stderr, flush=True)
    left = [name for name in names if name in running]
    return [{name: found[name] for name in left} for found in taken], failed


def _twice(system: System, measure: Measure) -> dict[str, Sample]:
    """A sample; one failure is forgiven."""
    try:
        return measure(system)
    except NotRun as reason:
        print(f"{system.cell}: once more, {reason}", file=sys.stderr, flush=True)
        return measure(system)


def wanted_ratios(cells: Iterable[str]) -> list[Ratio]:
    """Every peer's figures over ours of the same kind."""
    names = list(cells)
    return [
        Ratio(name, over, figure)
        for name in names
        for over in [REFERENCE[SYSTEMS[name].kind]]
        for figure in RATIO_FIGURES
        if over in names and name != over
    ]


def described(
    cells: Iterable[str], versions: dict[str, dict[str, str]], failed: dict[str, str]
) -> dict[str, dict[str, Any]]:
    """By cell, what the table says of a system beside its figures.

    Args:
        cells: those asked for, in the table's order.
        versions: of every environment's distributions.
        failed: by cell or by environment, why it was not run.
    """
    found: dict[str, dict[str, Any]] = {}
    for name in cells:
        system = SYSTEMS[name]
        installed = pinned(system.environment) | versions.get(system.environment, {})
        reason = failed.get(name, failed.get(system.environment))
        found[name] = {
            "kind": system.kind,
            "title": system.title.format_map(installed),
            "settings": system.settings,
            **({"body": system.body} if system.body else {}),
            **({"not_run": reason} if reason else {}),
        }
    return found
