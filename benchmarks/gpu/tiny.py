"""A model of a few microseconds: what the engine itself costs when the GPU costs nothing.

256 clients and one, on asyncio and uvloop. `python -m benchmarks.gpu.tiny`.
"""

import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

from benchmarks.gpu.clients import Infer, Sample, check, closed_loop
from benchmarks.gpu.design_a import PlainCall
from benchmarks.gpu.results import Table, parse, save, show_ratios
from benchmarks.gpu.systems import design_a, ours
from benchmarks.gpu.works import CLIENTS, Work, tiny_work
from benchmarks.gpu.yardsticks import Lane, reference
from benchmarks.load import run_on
from benchmarks.report import cell_name
from benchmarks.yardsticks import Null
from support.gpu.hardware import Array, enter, new_stream
from support.gpu.plans import use_double

LOOPS = ("asyncio", "uvloop")
STREAMS = (1, 2)
PLAIN = ("sleeping", "spinning")
FLOOR = "bare future"
"""A future made, resolved by the loop and awaited: nothing on this loop answers more."""
WARM_UP = 0.3


class Bench:
    """Rows, yardsticks and where the samples go."""

    def __init__(self, work: Work, rounds: int, seconds: float, table: Table):
        """Args:
        work: the model.
        rounds: samples of every cell.
        seconds: of each, with 256 clients.
        table: where they go.
        """
        self.work = work
        self.rounds = rounds
        self.seconds = seconds
        self.table = table
        self.rows = work.rows()
        self.expected = reference(work, self.rows)
        self.plain = {how: PlainCall(work, new_stream(), how == "spinning") for how in PLAIN}
        self.lanes = [Lane(work, new_stream()) for _ in range(sum(STREAMS))]
        self.order = random.Random(2)

    async def run(self, loop: str) -> None:
        """All cells of one loop, in rounds."""
        async with AsyncExitStack() as stack:
            cells: dict[str, Callable[[], Awaitable[Sample]]] = {}
            spare = list(self.lanes)
            for streams in STREAMS:
                name = f"{loop}/{streams}"
                lanes, spare = spare[:streams], spare[streams:]
                engine = await stack.enter_async_context(ours(self.work, streams))
                batcher = await stack.enter_async_context(design_a(lanes))
                systems: dict[str, Any] = {"trtasync": engine, "A": batcher}
                for system, each in systems.items():
                    await check(self.work, each.infer, self.rows, self.expected)
                    cells[cell_name(system, name)] = self._loading(each.infer, self.rows)
                    if streams == 1:
                        one = cell_name(system, loop, "one client")
                        cells[one] = self._loading(each.infer, self.rows[:1])
            cells[cell_name(FLOOR, loop)] = self._loading(Null().infer, self.rows)
            for how, call in self.plain.items():
                cells[cell_name(f"plain {how}", loop, "one client")] = self._calling(call)
            await self._rounds(cells)

    def _loading(self, infer: Infer, rows: list[Array]) -> Callable[[], Awaitable[Sample]]:
        async def load() -> Sample:
            await closed_loop(infer, rows, WARM_UP)
            share = 1 if len(rows) > 1 else 2
            return await closed_loop(infer, rows, self.seconds / share)

        return load

    def _calling(self, call: PlainCall) -> Callable[[], Awaitable[Sample]]:
        async def run() -> Sample:
            return call.run(self.rows, self.seconds / 4)

        return run

    async def _rounds(self, cells: dict[str, Callable[[], Awaitable[Sample]]]) -> None:
        names = list(cells)
        for _ in range(self.rounds):
            self.order.shuffle(names)
            for name in names:
                self.table.add(name, await cells[name]())

    def close(self) -> None:
        """Give everything back."""
        for call in self.plain.values():
            call.close()
        for lane in self.lanes:
            lane.close()


def wanted_ratios() -> list[tuple[str, str, str]]:
    """The engine over design A and over the plain call, within each round."""
    many = [
        (cell_name("trtasync", name), cell_name("A", name), figure)
        for name in [f"{loop}/{streams}" for loop in LOOPS for streams in STREAMS]
        for figure in ("requests_per_second", "cpu_us")
    ]
    many += [
        (cell_name("trtasync", loop, str(streams)), cell_name(FLOOR, loop), "requests_per_second")
        for loop in LOOPS
        for streams in STREAMS
    ]
    one = [
        (cell_name("trtasync", name), cell_name(over, name), "p50_us")
        for name in [f"{loop}/one client" for loop in LOOPS]
        for over in ("plain sleeping", "plain spinning", "A")
    ]
    return many + one


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    options = parse("tiny", __doc__, list(arguments) if arguments is not None else None)
    use_double()
    enter()
    table, began = Table(), time.monotonic()
    bench = Bench(tiny_work(), options.rounds, options.seconds / 2, table)
    for loop in LOOPS:
        run_on(loop, lambda loop=loop: bench.run(loop))  # type: ignore[misc]
        print(f"{loop}: {time.monotonic() - began:.0f} s", flush=True)
    bench.close()
    found = table.ratios(wanted_ratios())
    table.show()
    show_ratios(found)
    parameters = {
        "model": "float32[n, 3072] @ float32[3072, 10]",
        "clients": [CLIENTS, 1],
        "loops": list(LOOPS),
        "streams": list(STREAMS),
        "rounds": options.rounds,
        "seconds": options.seconds / 2,
    }
    summary = {"cells": table.summary(), "ratios": found}
    save("tiny", parameters, table.samples(), summary, options.out)


if __name__ == "__main__":
    main()
