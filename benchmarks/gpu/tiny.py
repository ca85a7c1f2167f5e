"""A model that takes a few microseconds: the engine's own cost when the GPU's is negligible.

256 clients and one, on asyncio and uvloop. `python -m benchmarks.gpu.tiny`.
"""

import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from benchmarks.gpu.comparison import Comparison
from benchmarks.gpu.results import LiveTable, Measure, begin, finish
from benchmarks.gpu.systems import check, design_a, ours
from benchmarks.gpu.works import CLIENTS, tiny_work
from benchmarks.report import cell_name
from benchmarks.table import Ratio
from benchmarks.yardsticks import Null
from trtasync.measure.runs import on_loop
from trtasync.measure.settings import Loop

LOOPS: tuple[Loop, ...] = ("asyncio", "uvloop")
STREAMS = (1, 2)
FLOOR = "bare future"
"""A future made, resolved by the loop and awaited: nothing on this loop answers more."""


class Tiny(Comparison):
    """Two engines and two batchers on one loop."""

    async def run(self, loop: Loop) -> None:
        """All cells of one loop, in rounds."""
        async with AsyncExitStack() as stack:
            cells: dict[str, Measure] = {}
            spare = list(self.lanes)
            for streams in STREAMS:
                name = f"{loop}/{streams}"
                lanes, spare = spare[:streams], spare[streams:]
                engine = await stack.enter_async_context(ours(self.work, streams))
                batcher = await stack.enter_async_context(design_a(lanes))
                systems: dict[str, Any] = {"trtasync": engine, "A": batcher}
                for system, each in systems.items():
                    await check(self.work, each.infer, self.rows, self.expected)
                    cells[cell_name(system, name)] = self.loading(each.infer, self.rows)
                    if streams == 1:
                        one = cell_name(system, loop, "one client")
                        cells[one] = self.loading(each.infer, self.rows[:1])
            cells[cell_name(FLOOR, loop)] = self.loading(Null().infer, self.rows)
            await self.fill(cells | self.calling(loop, "one client"))


def wanted_ratios() -> list[Ratio]:
    """The engine over design A and over the plain call, within each round."""
    many = [
        Ratio(cell_name("trtasync", name), cell_name("A", name), figure)
        for name in [f"{loop}/{streams}" for loop in LOOPS for streams in STREAMS]
        for figure in ("requests_per_second", "cpu_us")
    ]
    many += [
        Ratio(
            cell_name("trtasync", loop, str(streams)),
            cell_name(FLOOR, loop),
            "requests_per_second",
        )
        for loop in LOOPS
        for streams in STREAMS
    ]
    one = [
        Ratio(cell_name("trtasync", name), cell_name(over, name), "p50_us")
        for name in [f"{loop}/one client" for loop in LOOPS]
        for over in ("plain sleeping", "plain spinning", "A")
    ]
    return many + one


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    options = begin("tiny", __doc__, arguments)
    table, began = LiveTable(), time.monotonic()
    lanes = sum(STREAMS)
    bench = Tiny(tiny_work(), options.rounds, options.seconds / 2, table, lanes=lanes)
    for loop in LOOPS:
        on_loop(loop, partial(bench.run, loop))
        print(f"{loop}: {time.monotonic() - began:.0f} s", flush=True)
    bench.close()
    parameters = {
        "model": "float32[n, 3072] @ float32[3072, 10]",
        "clients": [CLIENTS, 1],
        "loops": list(LOOPS),
        "streams": list(STREAMS),
        "seconds": options.seconds / 2,
    }
    finish("tiny", table, wanted_ratios(), options, parameters)


if __name__ == "__main__":
    main()
