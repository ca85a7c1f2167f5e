"""ResNet-50 on one to four streams: the engine, the ceiling and design A, in rounds of one run.

256 clients, each with an array of its own in ordinary memory. `python -m benchmarks.gpu.resnet`.
"""

import random
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from benchmarks.gpu.ceiling import Ceiling
from benchmarks.gpu.design_a import PlainCall
from benchmarks.gpu.results import LiveTable, Measure, begin, finish
from benchmarks.gpu.systems import Infer, check, design_a, load, ours
from benchmarks.gpu.tiny import PLAIN
from benchmarks.gpu.works import CLIENTS, Work, resnet_work
from benchmarks.gpu.yardsticks import Lane, reference
from benchmarks.load import Sample
from benchmarks.report import cell_name
from benchmarks.table import Ratio
from support.gpu.hardware import Array, new_stream
from support.gpu.resnet import ResNet50
from trtasync.measure.runs import on_loop
from trtasync.measure.settings import Loop

STREAMS = 4
"""At most."""
DTYPES = ("float32", "uint8")
KINDS = {"": (1, 2, 3, 4), "fused ": (3,)}
"""Name -> streams. Fused convolutions are twice as fast, so the host has half the time per row."""
LOOP: Loop = "asyncio"
WARM_UP = 0.4


class Group:
    """One input type: its yardsticks, made once, and the engine opened per number of streams."""

    def __init__(
        self,
        kind: str,
        work: Work,
        rounds: int,
        seconds: float,
        table: LiveTable,
        clients: int = CLIENTS,
    ):
        """Open the yardsticks and compute the answers that are expected.

        Args:
            kind: of `KINDS`.
            work: the model with this input type.
            rounds: samples of every cell.
            seconds: of each.
            table: where they go.
            clients: each with a row of its own.
        """
        self.name = f"{kind}{work.dtype}"
        self.work = work
        self.rounds = rounds
        self.seconds = seconds
        self.table = table
        self.rows = work.rows(clients)
        self.expected = reference(work, self.rows)
        self.ceiling = Ceiling(work, STREAMS, self.rows)
        self.lanes = [Lane(work, new_stream()) for _ in range(STREAMS)]
        self.order = random.Random(1)

    async def many(self, streams: int) -> None:
        """256 clients on so many streams."""
        work, name = self.work, f"{self.name}/{streams}"
        async with ours(work, streams) as engine, design_a(self.lanes[:streams]) as batcher:
            for infer in (engine.infer, batcher.infer):
                await check(work, infer, self.rows, self.expected)
            cells: dict[str, Measure] = {
                cell_name("ceiling", name): partial(self._ceiling, streams),
                cell_name("A", name): self._loading(batcher.infer, self.rows),
                cell_name("trtasync", name): self._loading(engine.infer, self.rows),
            }
            await self.table.fill(cells, self.rounds, self.order)
            _show_engine(engine)

    async def one(self) -> None:
        """One client, against a plain call that has no batcher at all."""
        work, name = self.work, f"{self.name}/one client"
        plain = {how: PlainCall(work, new_stream(), how == "spinning") for how in PLAIN}
        async with ours(work, 1) as engine, design_a(self.lanes[:1]) as batcher:

            def calling(how: str) -> Measure:
                async def call() -> Sample:
                    return plain[how].run(self.rows, self.seconds / 2)

                return call

            cells: dict[str, Measure] = {
                cell_name(f"plain {how}", name): calling(how) for how in PLAIN
            }
            cells[cell_name("A", name)] = self._loading(batcher.infer, self.rows[:1])
            cells[cell_name("trtasync", name)] = self._loading(engine.infer, self.rows[:1])
            await self.table.fill(cells, self.rounds, self.order)
        for each in plain.values():
            each.close()

    def _loading(self, infer: Infer, rows: list[Array]) -> Measure:
        share = 1 if len(rows) > 1 else 2
        return partial(load, infer, rows, self.seconds / share, WARM_UP)

    async def _ceiling(self, streams: int) -> Sample:
        return self.ceiling.run(streams, self.seconds)

    def close(self) -> None:
        """Give everything back."""
        self.ceiling.close()
        for lane in self.lanes:
            lane.close()


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
