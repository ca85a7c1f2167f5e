"""ResNet-50 from pinned arrays that the GPU gathers by itself, against the ceiling and ordinary
arrays in the same rounds. `python -m benchmarks.gpu.zero_copy`.
"""

import time
from collections.abc import Sequence
from typing import Any

from benchmarks.gpu.clients import Sample, check
from benchmarks.gpu.resnet import DTYPES, LOOP, Group, Measure
from benchmarks.gpu.results import Table, parse, save, show_ratios
from benchmarks.gpu.systems import ours
from benchmarks.gpu.works import resnet_work
from benchmarks.load import run_on
from benchmarks.report import cell_name
from support.gpu.hardware import Array, enter
from support.gpu.plans import use_double
from support.gpu.resnet import ResNet50

STREAMS = (3, 4)
CLIENTS = 640
"""Four streams with two batches of 64 each take 512 rows; the next batch forms meanwhile."""
KINDS = ("", "fused ")
"""Fused convolutions are twice as fast, so the host has half the time per row."""


class ZeroCopy(Group):
    """One input type: the ceiling, and the engine from ordinary and from pinned arrays."""

    async def many(self, streams: int) -> None:
        """256 clients on so many streams."""
        name = f"{self.name}/{streams}"
        async with ours(self.work, streams) as engine:
            pinned = [_pinned(engine, row) for row in self.rows]
            await check(self.work, engine.infer, pinned, self.expected)

            async def ceiling() -> Sample:
                return self.ceiling.run(streams, self.seconds)

            cells: dict[str, Measure] = {
                cell_name("ceiling", name): ceiling,
                cell_name("copied", name): lambda: self._load(engine.infer, self.rows),
                cell_name("zero-copy", name): lambda: self._load(engine.infer, pinned),
            }
            await self._rounds(cells)


def _pinned(engine: Any, row: Array) -> Array:
    array: Array = engine.empty_input()
    array[...] = row
    return array


def wanted_ratios() -> list[tuple[str, str, str]]:
    """Requests/s over the ceiling of the same round, and the host's time per image."""
    names = [
        f"{kind}{dtype}/{streams}" for kind in KINDS for dtype in DTYPES for streams in STREAMS
    ]
    rates = [
        (cell_name(which, name), cell_name("ceiling", name), "requests_per_second")
        for name in names
        for which in ("zero-copy", "copied")
    ]
    return rates + [
        (cell_name("zero-copy", name), cell_name("copied", name), "cpu_us") for name in names
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    options = parse("zero_copy", __doc__, list(arguments) if arguments is not None else None)
    use_double()
    enter()
    table, began = Table(), time.monotonic()
    for kind in KINDS:
        model = ResNet50(fuse=bool(kind))
        for dtype in DTYPES:
            work = resnet_work(model, dtype)
            group = ZeroCopy(kind, work, options.rounds, options.seconds, table, CLIENTS)
            for streams in STREAMS:
                run_on(LOOP, lambda streams=streams, group=group: group.many(streams))  # type: ignore[misc]
            group.close()
            print(f"{kind}{dtype}: {time.monotonic() - began:.0f} s", flush=True)
        model.close()
    found = table.ratios(wanted_ratios())
    table.show()
    show_ratios(found)
    parameters = {
        "model": "ResNet-50, half precision, channels last, random weights",
        "clients": CLIENTS,
        "loop": LOOP,
        "streams": list(STREAMS),
        "rounds": options.rounds,
        "seconds": options.seconds,
    }
    summary = {"cells": table.summary(), "ratios": found}
    save("zero_copy", parameters, table.samples(), summary, options.out)


if __name__ == "__main__":
    main()
