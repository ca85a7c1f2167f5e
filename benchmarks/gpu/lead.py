"""Is it worth enqueueing the next batch a little before the running one ends? One stream, on which
two batches may be enqueued: closed loops of few and many clients, and arrivals at random times.

`python -m benchmarks.gpu.lead`, 3 minutes.
"""

import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from unittest.mock import patch

from benchmarks.gpu.arrivals import arrivals
from benchmarks.gpu.clients import Infer, Sample, check, closed_loop
from benchmarks.gpu.results import Table, parse, save, show_ratios
from benchmarks.gpu.systems import ours
from benchmarks.gpu.works import Work, resnet_work, tiny_work
from benchmarks.gpu.yardsticks import reference
from benchmarks.load import run_on
from benchmarks.report import cell_name
from tests.gpu.hardware import enter
from tests.gpu.plans import use_double
from tests.gpu.resnet import ResNet50
from trtasync.opening import api

LOOP = "asyncio"
LEADS = (0.0, api.LEAD, 5 * api.LEAD)
"""Seconds; the middle one is what engines are opened with."""
CLIENTS = (1, 8, 64, 256)
LOADS = (0.3, 0.6, 0.9)
"""Of what most clients get, for the arrivals."""
WARM_UP = 0.2


def named(lead: float) -> str:
    """In the results."""
    return f"lead {lead * 1e3:g} ms"


def loads(name: str) -> list[str]:
    """What a model is asked: the short one by clients only, whose loop is the limit."""
    found = [f"{clients} clients" for clients in CLIENTS]
    return found if name == "tiny" else found + [f"load {load:.0%}" for load in LOADS]


class Bench:
    """One engine per lead, the same load for each in turn."""

    def __init__(self, work: Work, rounds: int, seconds: float, table: Table):
        """Args:
        work: the model.
        rounds: samples of every cell.
        seconds: of each.
        table: where they go.
        """
        self.work = work
        self.rounds = rounds
        self.seconds = seconds
        self.table = table
        self.rows = work.rows()
        self.expected = reference(work, self.rows)

    async def run(self) -> None:
        """All cells, in rounds."""
        order = random.Random(6)
        async with AsyncExitStack() as stack:
            infers = {}
            for lead in LEADS:
                with patch.object(api, "LEAD", lead):
                    engine = await stack.enter_async_context(ours(self.work, 1))
                await check(self.work, engine.infer, self.rows, self.expected)
                infers[lead] = engine.infer
            full = await closed_loop(infers[LEADS[1]], self.rows, self.seconds)
            asked = {
                **{f"{many} clients": self._closed(many) for many in CLIENTS},
                **{f"load {load:.0%}": self._open(load, full) for load in LOADS},
            }
            cells = [(load, lead) for load in loads(self.work.name) for lead in LEADS]
            for _ in range(self.rounds):
                order.shuffle(cells)
                for load, lead in cells:
                    sample = await asked[load](infers[lead])
                    self.table.add(cell_name(self.work.name, load, named(lead)), sample)

    def _closed(self, clients: int) -> Callable[..., Awaitable[Sample]]:
        async def load(infer: Infer) -> Sample:
            await closed_loop(infer, self.rows[:clients], WARM_UP)
            return await closed_loop(infer, self.rows[:clients], self.seconds)

        return load

    def _open(self, load: float, full: Sample) -> Callable[..., Awaitable[Sample]]:
        async def run(infer: Infer) -> Sample:
            return await arrivals(
                infer, self.rows, load * full["requests_per_second"], self.seconds
            )

        return run


def wanted_ratios(names: Sequence[str]) -> list[tuple[str, str, str]]:
    """Every other lead over the one that engines are opened with, within each round."""
    return [
        (cell_name(name, load, named(lead)), cell_name(name, load, named(LEADS[1])), figure)
        for name in names
        for load in loads(name)
        for figure in ("requests_per_second", "p50_us", "p99_us")
        for lead in (LEADS[0], LEADS[2])
        if "load" not in load or figure != "requests_per_second"
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    options = parse("lead", __doc__, list(arguments) if arguments is not None else None)
    use_double()
    enter()
    table = Table()
    model = ResNet50(fuse=False)
    works = [tiny_work(), resnet_work(model, "uint8")]
    for work in works:
        bench = Bench(work, options.rounds, options.seconds / 4, table)
        run_on(LOOP, bench.run)
    model.close()
    found = table.ratios(wanted_ratios([work.name for work in works]))
    table.show()
    show_ratios(found)
    parameters = {
        "leads": list(LEADS),
        "clients": list(CLIENTS),
        "loads": list(LOADS),
        "loop": LOOP,
        "rounds": options.rounds,
        "seconds": options.seconds / 4,
    }
    save(
        "lead",
        parameters,
        table.samples(),
        {"cells": table.summary(), "ratios": found},
        options.out,
    )


if __name__ == "__main__":
    main()
