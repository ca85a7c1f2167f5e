"""ResNet-50 on one to four streams: the engine, the ceiling and design A, in rounds of one run.

256 clients, each with an array of its own in ordinary memory. `python -m benchmarks.gpu.resnet`.
"""

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from benchmarks.gpu.ceiling import Ceiling
from benchmarks.gpu.comparison import Comparison
from benchmarks.gpu.results import LiveTable, Measure, begin, finish
from benchmarks.gpu.systems import check, design_a, ours
from benchmarks.gpu.works import CLIENTS, Work, resnet_work
from benchmarks.load import Sample
from benchmarks.report import cell_name
from benchmarks.table import Ratio
from support.gpu.resnet import ResNet50
from trtasync.measure.runs import on_loop
from trtasync.measure.settings import Loop

STREAMS = 4
"""At most."""
DTYPES = ("float32", "uint8")
KINDS = {"": (1, 2, 3, 4), "fused ": (3,)}
"""Name -> streams. Fused convolutions are twice as fast, so the host has half the time per row."""
LOOP: Loop = "asyncio"


class Group(Comparison):
    """One input type: the engine opened per number of streams."""

    clients = CLIENTS

    def __init__(self, kind: str, work: Work, rounds: int, seconds: float, table: LiveTable):
        """kind: of `KINDS`; the others are those of `Comparison`."""
        super().__init__(work, rounds, seconds, table, clients=self.clients, lanes=STREAMS)
        self.name = f"{kind}{work.dtype}"
        self.ceiling = Ceiling(work, STREAMS, self.rows)

    async def many(self, streams: int) -> None:
        """256 clients on so many streams."""
        work, name = self.work, f"{self.name}/{streams}"
        async with ours(work, streams) as engine, design_a(self.lanes[:streams]) as batcher:
            for infer in (engine.infer, batcher.infer):
                await check(work, infer, self.rows, self.expected)
            cells: dict[str, Measure] = {
                cell_name("ceiling", name): partial(self._ceiling, streams),
                cell_name("A", name): self.loading(batcher.infer, self.rows),
                cell_name("trtasync", name): self.loading(engine.infer, self.rows),
            }
            await self.fill(cells)
            _show_engine(engine)

    async def one(self) -> None:
        """One client, against a plain call that has no batcher at all."""
        work, name = self.work, f"{self.name}/one client"
        async with ours(work, 1) as engine, design_a(self.lanes[:1]) as batcher:
            cells = self.calling(name)
            cells[cell_name("A", name)] = self.loading(batcher.infer, self.rows[:1])
            cells[cell_name("trtasync", name)] = self.loading(engine.infer, self.rows[:1])
            await self.fill(cells)

    async def _ceiling(self, streams: int) -> Sample:
        return self.ceiling.run(streams, self.seconds)

    def close(self) -> None:
        """Free everything."""
        self.ceiling.close()
        super().close()


def _show_engine(engine: Any) -> None:
    seen = engine.statistics()
    sizes = dict(seen.batch_sizes)
    print(
        f"    batches {sizes}, padded rows {seen.padded_rows}; mean ms: stage "
        f"{seen.stage.mean * 1e3:.3f}, in {seen.copy_in.mean * 1e3:.3f}, compute "
        f"{seen.compute.mean * 1e3:.3f}, out {seen.copy_out.mean * 1e3:.3f}",
        flush=True,
    )


def wanted_ratios() -> list[Ratio]:
    """The engine over the yardsticks of the same round."""
    rate = [
        Ratio(cell_name("trtasync", name), cell_name(over, name), "requests_per_second")
        for kind, numbers in KINDS.items()
        for dtype in DTYPES
        for name in [f"{kind}{dtype}/{streams}" for streams in numbers]
        for over in ("ceiling", "A")
    ]
    latency = [
        Ratio(cell_name("trtasync", name), cell_name(over, name), "p50_us")
        for name in [f"{kind}{dtype}/one client" for kind in KINDS for dtype in DTYPES]
        for over in ("plain sleeping", "plain spinning", "A")
    ]
    return rate + latency


def measure(kind: str, work: Work, rounds: int, seconds: float, table: LiveTable) -> None:
    """All cells of one input type."""
    group = Group(kind, work, rounds, seconds, table)
    for streams in KINDS[kind]:
        on_loop(LOOP, partial(group.many, streams))
    on_loop(LOOP, group.one)
    group.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    options = begin("resnet", __doc__, arguments)
    table, began = LiveTable(), time.monotonic()
    for kind in KINDS:
        model = ResNet50(fuse=bool(kind))
        for dtype in DTYPES:
            measure(kind, resnet_work(model, dtype), options.rounds, options.seconds, table)
            print(f"{kind}{dtype}: {time.monotonic() - began:.0f} s", flush=True)
        model.close()
    parameters = {
        "model": "ResNet-50, half precision, channels last, random weights",
        "clients": CLIENTS,
        "loop": LOOP,
        "streams": {kind or "plain": list(streams) for kind, streams in KINDS.items()},
    }
    finish("resnet", table, wanted_ratios(), options, parameters)


if __name__ == "__main__":
    main()
