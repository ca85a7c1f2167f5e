"""Rounds of samples: every cell once per round, in a different order each time.

Drift of a shared machine (neighbours, clock speed, heat) then affects all cells alike, and ratios
are computed within a round before their median is taken.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.load import Sample, wait_for_quiet
from benchmarks.report import write
from benchmarks.systems import MAX_BATCH_SIZE
from benchmarks.table import Ratio, Table, show_ratios

T = TypeVar("T")

PATIENCE = 3.0
"""Seconds that a sample waits at most for other processes to be done."""


class NotRun(Exception):
    """A system could not be installed, started or measured; the message is a plain line."""


def command(
    name: str, about: str | None, *, rounds: int, seconds: float, warm_up: float
) -> argparse.ArgumentParser:
    """The command line that all share; the numbers are the defaults."""
    parser = argparse.ArgumentParser(prog=f"benchmarks.{name}", description=about)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--seconds", type=float, default=seconds, help="per sample")
    parser.add_argument("--warm-up", type=float, default=warm_up, help="seconds before each sample")
    parser.add_argument("--quick", action="store_true", help="a short run, nothing written")
    return parser


def take(
    names: Iterable[str], rounds: int, measure: Callable[[str], T], patience: float = PATIENCE
) -> tuple[list[dict[str, T]], dict[str, str]]:
    """Measure every cell once per round, at quiet moments if there are any.

    A cell that fails twice in a row is left out of all rounds.

    Returns:
        the rounds, and the reasons for cells left out.
    """
    order = random.Random(1)
    names = list(names)
    running = list(names)
    taken: list[dict[str, T]] = []
    failed: dict[str, str] = {}
    began = time.monotonic()
    print(f"{len(names)} cells, {rounds} rounds", file=sys.stderr, flush=True)
    for number in range(1, rounds + 1):
        order.shuffle(running)
        found: dict[str, T] = {}
        for name in list(running):
            wait_for_quiet(patience)
            try:
                found[name] = _twice(name, measure)
            except NotRun as reason:
                failed[name] = str(reason)
                running.remove(name)
                print(f"{name}: not run: {reason}", file=sys.stderr, flush=True)
        taken.append(found)
        passed = time.monotonic() - began
        print(f"round {number} of {rounds}, {passed:.0f} s", file=sys.stderr, flush=True)
    left = [name for name in names if name in running]
    return [{name: found[name] for name in left} for found in taken], failed


def _twice(name: str, measure: Callable[[str], T]) -> T:
    """A sample; one failure is forgiven."""
    try:
        return measure(name)
    except NotRun as reason:
        print(f"{name}: once more, {reason}", file=sys.stderr, flush=True)
        return measure(name)


def tabled(taken: Iterable[Mapping[str, Mapping[str, Sample]]]) -> Table:
    """Rounds whose cells have a sample for each number of callers."""
    table = Table()
    for found in taken:
        for name, by_callers in found.items():
            for callers, sample in by_callers.items():
                table.add(name, sample, callers)
    return table


def finish(
    name: str,
    table: Table,
    wanted: Iterable[Ratio],
    options: argparse.Namespace,
    parameters: Mapping[str, Any],
    found: Mapping[str, Any],
    path: Path | None = None,
) -> None:
    """Print and write, unless `options.no_write`.

    Args:
        name: of the results.
        table: of all samples.
        wanted: ratios.
        options: the command line's.
        parameters: besides those that all have.
        found: besides cells and ratios.
        path: see `benchmarks.report.write`.
    """
    ratios = table.ratios(wanted)
    table.show()
    show_ratios(ratios)
    if not options.no_write:
        common = {
            "max_batch_size": MAX_BATCH_SIZE,
            "rounds": options.rounds,
            "seconds": options.seconds,
            "foreign_cores": table.foreign_cores(),
        }
        summary = {**found, "cells": table.by_callers(), "ratios": ratios}
        print(write(name, {**parameters, **common}, table.samples(), summary, path))
