"""The command line of all parts, their samples in rounds, and the file for these."""

import argparse
import random
import shutil
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.load import Sample
from benchmarks.report import write
from benchmarks.table import Ratio, Table, line, show_ratios
from support.gpu.hardware import describe, enter, free_bytes
from support.gpu.plans import use_double

PACKAGES = ("torch", "torchvision", "cuda-bindings", "nvidia-cudnn-cu13", "nvidia-cuda-nvrtc")
ROUNDS, SECONDS = 3, 2.0

Measure = Callable[[], Awaitable[Sample]]


def parse(name: str, about: str | None, arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line that all parts share."""
    parser = argparse.ArgumentParser(prog=f"benchmarks.gpu.{name}", description=about)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="per sample")
    parser.add_argument("--out", type=Path, default=None, help="a folder for copies of the results")
    return parser.parse_args(arguments)


def begin(name: str, about: str | None, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line, and make this process ready for the GPU."""
    options = parse(name, about, arguments)
    use_double()
    enter()
    return options


class LiveTable(Table):
    """Shows each sample at once, so that a run that is cut short still shows something."""

    def add(self, cell: str, sample: Sample, callers: str = "") -> None:
        """See `Table`."""
        super().add(cell, sample, callers)
        print(f"  {cell:44} {line(sample)}", flush=True)

    async def fill(self, cells: Mapping[str, Measure], rounds: int, order: random.Random) -> None:
        """Measure every cell once per round, each time in another order."""
        names = list(cells)
        for _ in range(rounds):
            order.shuffle(names)
            for name in names:
                self.add(name, await cells[name]())


def finish(
    name: str,
    table: Table,
    wanted: Iterable[Ratio],
    options: argparse.Namespace,
    parameters: Mapping[str, Any],
    **found: Any,
) -> None:
    """Print all of it and write `results/gpu_<name>.json`; `found` is what else there is."""
    ratios = table.ratios(wanted)
    table.show()
    show_ratios(ratios)
    common = {"rounds": options.rounds, "seconds": options.seconds, **parameters}
    summary = {"cells": table.summary(), "ratios": ratios, **found}
    save(name, common, table.samples(), summary, options.out)


def save(
    name: str,
    parameters: Mapping[str, Any],
    samples: Sequence[Mapping[str, Any]],
    summary: Mapping[str, Any],
    out: Path | None,
) -> None:
    """Write it, with the GPU's own particulars; a copy goes to `out`."""
    hardware = {**describe(), "free_gpu_gib": round(free_bytes() / 2**30, 1)}
    path = write(f"gpu_{name}", parameters, samples, summary, hardware=hardware, packages=PACKAGES)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, out / path.name)
    print(path, flush=True)
