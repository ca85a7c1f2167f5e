"""ResNet-50 from pinned arrays that the GPU gathers itself, against the ceiling and ordinary arrays
in the same rounds. `python -m benchmarks.gpu.zero_copy`.
"""

import time
from collections.abc import Sequence
from functools import partial

from benchmarks.gpu.resnet import DTYPES, LOOP, Group
from benchmarks.gpu.results import LiveTable, Measure, begin, finish
from benchmarks.gpu.systems import check, in_pinned, ours
from benchmarks.gpu.works import resnet_work
from benchmarks.report import cell_name
from benchmarks.table import Ratio
from support.gpu.resnet import ResNet50
from trtasync.measure.runs import on_loop

STREAMS = (3, 4)
CLIENTS = 640
"""Four streams with two batches of 64 each take 512 rows; the next batch forms meanwhile."""
KINDS = ("", "fused ")
"""Fused convolutions are twice as fast, so the host has half the time per row."""


class ZeroCopy(Group):
    """One input type: the ceiling, and the engine from ordinary and from pinned arrays."""

    clients = CLIENTS

    async def many(self, streams: int) -> None:
        """256 clients on so many streams."""
        name = f"{self.name}/{streams}"
        async with ours(self.work, streams) as engine:
            pinned = [in_pinned(engine, row) for row in self.rows]
            await check(self.work, engine.infer, pinned, self.expected)
            cells: dict[str, Measure] = {
                cell_name("ceiling", name): partial(self._ceiling, streams),
                cell_name("copied", name): self.loading(engine.infer, self.rows),
                cell_name("zero-copy", name): self.loading(engine.infer, pinned),
            }
            await self.fill(cells)


def wanted_ratios() -> list[Ratio]:
    """Requests/s over the ceiling of the same round, and the host's time per image."""
    names = [
        f"{kind}{dtype}/{streams}" for kind in KINDS for dtype in DTYPES for streams in STREAMS
    ]
    rates = [
        Ratio(cell_name(which, name), cell_name("ceiling", name), "requests_per_second")
        for name in names
        for which in ("zero-copy", "copied")
    ]
    return rates + [
        Ratio(cell_name("zero-copy", name), cell_name("copied", name), "cpu_us") for name in names
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    options = begin("zero_copy", __doc__, arguments)
    table, began = LiveTable(), time.monotonic()
    for kind in KINDS:
        model = ResNet50(fuse=bool(kind))
        for dtype in DTYPES:
            work = resnet_work(model, dtype)
            group = ZeroCopy(kind, work, options.rounds, options.seconds, table)
            for streams in STREAMS:
                on_loop(LOOP, partial(group.many, streams))
            group.close()
            print(f"{kind}{dtype}: {time.monotonic() - began:.0f} s", flush=True)
        model.close()
    parameters = {
        "model": "ResNet-50, half precision, channels last, random weights",
        "clients": CLIENTS,
        "loop": LOOP,
        "streams": list(STREAMS),
    }
    finish("zero_copy", table, wanted_ratios(), options, parameters)


if __name__ == "__main__":
    main()
