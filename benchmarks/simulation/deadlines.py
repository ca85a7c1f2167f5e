"""Closed loops whose callers have deadlines: what gets through when full batches come too late."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.simulation.arrivals import ClosedLoop
from benchmarks.simulation.costs import linear, steps
from benchmarks.simulation.figures import figures
from benchmarks.simulation.ours import Ours
from benchmarks.simulation.scenarios import MAIN, MS, SCENARIOS, Scenario
from benchmarks.simulation.schedulers import FixedDelay, Scheduler
from benchmarks.simulation.study import OURS
from benchmarks.simulation.world import World
from benchmarks.table import number
from trtasync.measure.statistics import rounded, spread

THINKING = 0.1
"""Mean pause of a caller between an answer and its next request, in times of one row's batch."""

DELAYS = (0.0, 0.5)
"""Fixed delays swept, in times of one row's batch."""

BATCHES = 400
"""A run lasts as long as so many batches of one row, or a quarter as many full ones."""

MACHINES = {
    machine.name: machine
    for machine in (
        Scenario(name="10 + 40 n ms", cost=linear(10 * MS, 40 * MS, 0.0), largest=8),
        Scenario(name="1.0 + 0.1 n ms", cost=linear(1.0 * MS, 0.1 * MS, 0.0)),
        Scenario(name="2 ms per 8 rows", cost=steps(8, 2 * MS, 0.0)),
        SCENARIOS[MAIN],
    )
}
CALLERS = (1, 4)
"""How many callers, in largest batches."""

PATIENCE = (0.5, 0.9, 1.5, 3.0)
"""How long they wait, in times of a full batch; what one row cannot make is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """Callers that send their next request once they have an answer, or have given up."""

    machine: str
    callers: int
    patience: float
    seed: int

    def run(self, scheduler: Scheduler) -> float:
        """Answers in time per second."""
        machine = MACHINES[self.machine]
        until = BATCHES * max(machine.seconds(1), machine.seconds(machine.largest) / 4)
        thinking = THINKING * machine.seconds(1)
        name = f"{self.callers}/{self.patience:.4f}/{self.seed}"
        source = ClosedLoop(self.callers, thinking, until, name)
        world = World(machine, scheduler, source, name, self.patience)
        return figures(world.run(), self.patience, machine.devices).goodput

    def measure(self) -> dict[str, Any]:
        """trtasync, and every possible largest batch, delay and number of streams."""
        machine = MACHINES[self.machine]
        sizes = [1 << power for power in range(machine.largest.bit_length())]
        cells = {OURS: self.run(Ours(machine))}
        for size in sizes:
            for delay in DELAYS:
                for many in range(1, len(machine.lanes) + 1):
                    setting = f"{size} rows, {delay * machine.seconds(1) / MS:.3g} ms, {many}"
                    smaller = replace(machine, largest=size)
                    rival = FixedDelay(smaller, delay * machine.seconds(1), many)
                    cells[setting] = self.run(rival)
        return {
            "machine": self.machine,
            "callers": self.callers,
            "patience": self.patience,
            "seed": self.seed,
            "largest": machine.largest,
            "cells": rounded(cells, 4),
        }


def loops(seeds: int) -> list[Loop]:
    """All that are compared."""
    return [
        Loop(machine=name, callers=many * machine.largest, patience=patience, seed=seed)
        for name, machine in MACHINES.items()
        for many in CALLERS
        for patience in (times * machine.seconds(machine.largest) for times in PATIENCE)
        if patience > 1.1 * machine.seconds(1)
        for seed in range(seeds)
    ]


def summarize(samples: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Per machine, number of callers and patience: trtasync, the best that could be set, and the
    best with the machine's own largest batch."""
    points: dict[tuple[str, int, float], list[Mapping[str, Any]]] = {}
    for sample in samples:
        key = (sample["machine"], sample["callers"], sample["patience"])
        points.setdefault(key, []).append(sample)
    found = []
    for (machine, callers, patience), seeds in points.items():
        largest = seeds[0]["largest"]
        settings = [setting for setting in seeds[0]["cells"] if setting != OURS]
        full = [setting for setting in settings if setting.startswith(f"{largest} rows")]
        found.append(
            {
                "machine": machine,
                "callers": callers,
                "patience": patience,
                "largest": largest,
                OURS: spread(seed["cells"][OURS] for seed in seeds),
                "best": _best(settings, seeds),
                "best of the largest batch": _best(full, seeds),
            }
        )
    return found


def _best(settings: Sequence[str], seeds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    def median(setting: str) -> float:
        return float(statistics.median(seed["cells"][setting] for seed in seeds))

    setting = max(settings, key=median)
    return {"setting": setting, **spread(seed["cells"][setting] for seed in seeds)}


def table(points: Sequence[Mapping[str, Any]]) -> str:
    """Answers in time per second, in Markdown."""
    lines = [
        "| model, largest batch | callers | deadline ms | trtasync | best delay, same largest "
        "batch | best largest batch and delay | set to |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for point in points:
        best, full = point["best"], point["best of the largest batch"]
        rates = (number(found["median"]) for found in (point[OURS], full, best))
        lines.append(
            f"| {point['machine']}, {point['largest']} | {point['callers']} "
            f"| {point['patience'] / MS:.3g} | {' | '.join(rates)} "
            f"| {best['setting'] if best['median'] else ''} |"
        )
    return "\n".join(lines)
