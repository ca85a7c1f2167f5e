"""Is it worth enqueueing the next batch a little before the running one ends? One stream, on which
two batches may be enqueued: closed loops of few and many clients, and arrivals at random times.

`python -m benchmarks.gpu.lead`, 3 minutes.
"""

import random
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from unittest.mock import patch

from benchmarks.gpu.results import LiveTable, Measure, begin, finish
from benchmarks.gpu.systems import check, load, ours
from benchmarks.gpu.works import Work, resnet_work, tiny_work
from benchmarks.gpu.yardsticks import reference
from benchmarks.load import open_loop
from benchmarks.report import cell_name
from benchmarks.table import Ratio
from support.gpu.resnet import ResNet50
from trtasync.measure.runs import on_loop
from trtasync.measure.settings import Loop
from trtasync.opening import api

LOOP: Loop = "asyncio"
LEADS = (0.0, api.LEAD, 5 * api.LEAD)
"""Seconds; the middle one is what engines are opened with."""
CLIENTS = (1, 8, 64, 256)
LOADS = (0.3, 0.6, 0.9)
"""Of what most clients get, for the arrivals."""
WARM_UP = 0.2


def named(lead: float) -> str:
    """In the results."""
    return f"lead {lead * 1e3:g} ms"


def many(clients: int) -> str:
    """A closed loop."""
    return f"{clients} clients"


def share(load: float) -> str:
    """Arrivals at random times."""
    return f"load {load:.0%}"


def loads(name: str) -> list[str]:
    """The loads of a model; only clients for the short one, where their loop is the limit."""
    found = [many(clients) for clients in CLIENTS]
    return found if name == "tiny" else found + [share(load) for load in LOADS]


async def compare(work: Work, rounds: int, seconds: float, table: LiveTable) -> None:
    """One engine per lead, the same load for each in turn."""
    rows = work.rows()
    expected = reference(work, rows)
    cells: dict[str, Measure] = {}
    async with AsyncExitStack() as stack:
        engines = {}
        for lead in LEADS:
            with patch.object(api, "LEAD", lead):
                engines[lead] = await stack.enter_async_context(ours(work, 1))
            await check(work, engines[lead].infer, rows, expected)
        full = await load(engines[LEADS[1]].infer, rows, seconds, WARM_UP)
        rate = full["requests_per_second"]
        for lead, engine in engines.items():
            asked = {
                **{many(count): partial(load, engine.infer, rows[:count]) for count in CLIENTS},
                **{
                    share(part): partial(open_loop, engine.infer, rows, part * rate)
                    for part in LOADS
                },
            }
            cells |= {
                cell_name(work.name, name, named(lead)): partial(asked[name], seconds, WARM_UP)
                for name in loads(work.name)
            }
        await table.fill(cells, rounds, random.Random(6))


def wanted_ratios(names: Sequence[str]) -> list[Ratio]:
    """Every other lead over the engine's default, within each round."""
    return [
        Ratio(cell_name(name, asked, named(lead)), cell_name(name, asked, named(LEADS[1])), figure)
        for name in names
        for asked in loads(name)
        for figure in ("requests_per_second", "p50_us", "p99_us")
        for lead in (LEADS[0], LEADS[2])
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    options = begin("lead", __doc__, arguments)
    table = LiveTable()
    model = ResNet50(fuse=False)
    works = [tiny_work(), resnet_work(model, "uint8")]
    for work in works:
        on_loop(LOOP, partial(compare, work, options.rounds, options.seconds / 4, table))
    model.close()
    parameters = {
        "leads": list(LEADS),
        "clients": list(CLIENTS),
        "loads": list(LOADS),
        "loop": LOOP,
        "seconds": options.seconds / 4,
    }
    finish("lead", table, wanted_ratios([work.name for work in works]), options, parameters)


if __name__ == "__main__":
    main()
