"""All points of the comparison: machines x arrivals x loads x seeds, every policy on each."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.simulation.arrivals import source
from benchmarks.simulation.figures import Figures, figures
from benchmarks.simulation.ours import Ours
from benchmarks.simulation.rivals import Cork, Deferred
from benchmarks.simulation.scenarios import SCENARIOS, Scenario
from benchmarks.simulation.schedulers import FixedDelay, Scheduler, no_batching
from benchmarks.simulation.world import NEVER, World

T = TypeVar("T")
S = TypeVar("S")

OURS = "trtasync"
EAGER = "eager"
FIXED = "fixed delay"
DELAYS = (0.0, 0.25, 0.5, 1.0, 2.0)
"""Fixed delays swept, in times of one row's batch."""

Make = Callable[[Scenario, float], Scheduler]
"""From a machine and the callers' patience (inf: they have all the time) to a scheduler."""

POLICIES: dict[str, Make] = {
    OURS: lambda machine, patience: Ours(machine),
    "no batching": lambda machine, patience: no_batching(machine),
    EAGER: lambda machine, patience: FixedDelay(machine, 0.0, streams(machine) * machine.depth),
    "BentoML": lambda machine, patience: Cork(machine, patience),
    "deferred": lambda machine, patience: Deferred(machine, machine.patience, patience < NEVER),
    "Triton's rule": lambda machine, patience: Ours(machine, machine.seconds(1)),
}


def streams(machine: Scenario) -> int:
    """The streams of each device."""
    return len(machine.lanes) // machine.devices


def fixed_delays(machine: Scenario) -> dict[str, Make]:
    """The sweep: delays, and how many batches a device may have at once (none queued behind)."""

    def make(delay: float, many: int) -> Make:
        return lambda machine, patience: FixedDelay(machine, delay, many)

    alone = machine.seconds(1)
    return {
        f"{FIXED} {times * alone * 1e3:.2f} ms, {many} at once": make(times * alone, many)
        for times in DELAYS
        for many in range(1, streams(machine) + 1)
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One set of arrivals, served by every policy."""

    machine: str
    process: str
    load: float
    seed: int
    requests: int
    trace: Path | None = None

    def policies(self) -> dict[str, Make]:
        """All policies compared here."""
        return {**POLICIES, **fixed_delays(SCENARIOS[self.machine])}

    def run(self, make: Make, patience: float = NEVER) -> Figures:
        """One policy."""
        machine = SCENARIOS[self.machine]
        name = f"{self.process}/{self.load}/{self.seed}"
        asking = source(
            self.process,
            self.load * machine.rate,
            self.requests,
            machine.seconds(1),
            name,
            self.trace,
        )
        world = World(machine, make(machine, patience), asking, name, patience)
        return figures(world.run(), machine.patience, machine.devices)

    def measure(self) -> dict[str, Any]:
        """All policies: latencies of callers without deadlines, goodput of those that give up after
        the patience (which the policies know)."""
        machine = SCENARIOS[self.machine]
        cells = {}
        for name, make in self.policies().items():
            patient = self.run(make)
            hasty = self.run(make, machine.patience)
            cells[name] = {**asdict(patient), "goodput": hasty.goodput}
        return {
            "machine": self.machine,
            "process": self.process,
            "load": self.load,
            "seed": self.seed,
            "cells": cells,
        }


def on_processes(measure: Callable[[T], S], wanted: Iterable[T], jobs: int) -> Iterator[S]:
    """Measure everything, in order, on this many processes."""
    if jobs == 1:
        yield from map(measure, wanted)
        return
    with get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap(measure, wanted)
