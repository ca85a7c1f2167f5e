"""One queue over two GPUs, `devices=[0, 1]`, against each of them alone in the same rounds, with as
many clients per GPU. `python -m benchmarks.gpu.two_gpus`.

ResNet-50 takes uint8 images from pinned arrays, so that two GPUs do not wait for one Python thread:
single images, and four per request, which is a quarter of the requests for the same work. The tiny
model shows where that thread is the limit.
"""

import asyncio
import os
import random
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.gpu.results import LiveTable, Measure, begin, finish
from benchmarks.gpu.systems import in_pinned, load, ours
from benchmarks.gpu.works import Work, resnet_work, tiny_work
from benchmarks.gpu.yardsticks import reference
from benchmarks.load import Sample
from benchmarks.report import cell_name
from benchmarks.table import Ratio
from support.gpu.hardware import Array, gpus
from support.gpu.plans import LARGEST
from support.gpu.resnet import ResNet50
from trtasync.measure.runs import on_loop
from trtasync.measure.settings import Loop

LOOPS: tuple[Loop, ...] = ("asyncio", "uvloop")
DEVICES = {"GPU 0": [0], "GPU 1": [1], "two GPUs": [0, 1]}
BATCH_SIZES = (1, 8, 64)
"""Few, because each is captured on nine streams; under load nearly all batches are full."""
WARM_UP = 0.4
SAME = 12
"""Requests of a whole batch each, of which both GPUs must give the same bits."""


@dataclass(frozen=True)
class Case:
    """A load.

    Attributes:
        name: for the results.
        work: the model.
        streams: per GPU.
        rows: of a request; 0 for one row without batch axis.
        clients: per GPU.
        pinned: requests are in pinned arrays, which the GPUs fetch directly.
    """

    name: str
    work: Work
    streams: int
    rows: int
    clients: int
    pinned: bool

    @property
    def per_request(self) -> int:
        """Rows of a request."""
        return max(1, self.rows)


def cases(image: Work) -> list[Case]:
    """All loads.

    Three streams with two batches in flight each take 384 rows per GPU; the next ones form
    meanwhile.
    """
    return [
        Case("resnet50", image, 3, 0, 512, True),
        Case("resnet50 x 4", image, 3, 4, 160, True),
        Case("tiny", tiny_work(), 2, 0, 256, False),
    ]


class Bench:
    """One case on one loop: an engine per set of GPUs, measured in turn."""

    def __init__(
        self, case: Case, rounds: int, seconds: float, table: LiveTable, warm_up: float = WARM_UP
    ):
        """Compute the answers that are expected.

        Args:
            case: the load.
            rounds: samples of every cell.
            seconds: of each.
            table: where they go.
            warm_up: seconds before each.
        """
        self.case = case
        self.rounds = rounds
        self.seconds = seconds
        self.warm_up = warm_up
        self.table = table
        count = case.clients * len(DEVICES["two GPUs"])
        self._single = case.work.rows(count if case.per_request == 1 else LARGEST)
        self._expected = reference(case.work, self._single)
        self._order = random.Random(4)
        self.same_bits = True

    async def run(self, loop: str) -> None:
        """All cells of one loop, in rounds."""
        case = self.case
        async with AsyncExitStack() as stack:
            engines = {}
            for name, devices in DEVICES.items():
                engine = await stack.enter_async_context(
                    ours(case.work, case.streams, devices=devices, batch_sizes=list(BATCH_SIZES))
                )
                engines[name] = engine
            requests = [self._request(engines["two GPUs"], at) for at in range(self._clients(2))]
            for name, engine in engines.items():
                await self._check(name, engine, requests)
            await self._check_bits(engines)
            cells: dict[str, Measure] = {
                cell_name(name, case.name, loop): partial(
                    self._load, engine, requests[: self._clients(len(DEVICES[name]))]
                )
                for name, engine in engines.items()
            }
            await self.table.fill(cells, self.rounds, self._order)

    def _clients(self, count: int) -> int:
        return self.case.clients * count

    def _request(self, engine: Any, at: int) -> Array:
        """The array of the client with this number."""
        case = self.case
        if case.rows == 0:
            source = self._single[at]
        else:
            source = np.stack([self._single[row % LARGEST] for row in self._rows_of(at)])
        return in_pinned(engine, source, case.rows or None) if case.pinned else source

    def _rows_of(self, at: int) -> range:
        return range(at * self.case.per_request, (at + 1) * self.case.per_request)

    async def _check(self, name: str, engine: Any, requests: Sequence[Array]) -> None:
        """Check that all callers at once get their own answers, and that every GPU took part.

        Raises:
            AssertionError: a caller got another's answer.
            RuntimeError: a GPU did nothing.
        """
        answers = await asyncio.gather(*(engine.infer(request) for request in requests))
        for at, answer in enumerate(answers):
            wanted = [self._expected[row % len(self._expected)] for row in self._rows_of(at)]
            room = self.case.work.near * float(np.abs(wanted).max())
            rows = answer.reshape(len(wanted), -1)
            np.testing.assert_allclose(rows, np.stack(wanted), rtol=0, atol=room)
        if not all(self._batches(engine)):
            raise RuntimeError(f"{name}: batches by GPU are {self._batches(engine)}")

    async def _check_bits(self, engines: dict[str, Any]) -> None:
        """Check that the same full batch gives the same bits, whichever GPU runs it."""
        batch = np.stack(self._single[:LARGEST])
        found = []
        for engine in engines.values():
            found += await asyncio.gather(*(engine.infer(batch) for _ in range(SAME)))
        same = all(answer.tobytes() == found[0].tobytes() for answer in found)
        self.same_bits = self.same_bits and same
        if not same:
            worst = max(float(np.abs(answer - found[0]).max()) for answer in found)
            print(f"    the GPUs' answers differ, by {worst:.3g} at most", flush=True)

    async def _load(self, engine: Any, requests: Sequence[Array]) -> Sample:
        await load(engine.infer, requests, self.warm_up)
        before, rows_before = self._batches(engine), engine.statistics().rows
        sample = await load(engine.infer, requests, self.seconds)
        done = [now - then for now, then in zip(self._batches(engine), before, strict=True)]
        rows = engine.statistics().rows - rows_before
        sample["rows_per_second"] = sample["requests_per_second"] * self.case.per_request
        sample["rows_per_batch"] = rows / sum(done)
        sample["share_of_first_gpu"] = done[0] / sum(done)
        return sample

    def _batches(self, engine: Any) -> list[int]:
        """Batches so far by GPU: the streams come GPU by GPU."""
        done = [stream.batches for stream in engine.statistics().streams]
        each = self.case.streams
        return [sum(done[start : start + each]) for start in range(0, len(done), each)]


def wanted_ratios(names: Sequence[str]) -> list[Ratio]:
    """Two GPUs over either of them in the same round, and the GPUs over each other."""
    pairs = (("two GPUs", "GPU 0"), ("two GPUs", "GPU 1"), ("GPU 1", "GPU 0"))
    return [
        Ratio(cell_name(one, name, loop), cell_name(other, name, loop), figure)
        for name in names
        for loop in LOOPS
        for one, other in pairs
        for figure in ("requests_per_second", "cpu_us")
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; 1 where there are not two GPUs."""
    if gpus() < 2:
        print(f"two GPUs are wanted, and there are {gpus()}", file=sys.stderr)
        return 1
    options = begin("two_gpus", __doc__, arguments)
    # both GPUs must take the same algorithms, and cuDNN's trials may end differently on each
    os.environ.setdefault("GPU_CUDNN_BENCHMARK", "0")
    table, began = LiveTable(), time.monotonic()
    model = ResNet50(fuse=False)
    every = cases(resnet_work(model, "uint8"))
    same_bits = {}
    for case in every:
        bench = Bench(case, options.rounds, options.seconds / 2, table)
        for loop in LOOPS:
            on_loop(loop, partial(bench.run, loop))
            model.trim()
        same_bits[case.name] = bench.same_bits
        print(f"{case.name}: {time.monotonic() - began:.0f} s", flush=True)
    model.close()
    print(f"the same bits from both GPUs: {same_bits}", flush=True)
    parameters = {
        "model": "ResNet-50, half precision, channels last, random weights, uint8 pinned arrays; "
        "and float32[n, 3072] @ float32[3072, 10]",
        "cases": {
            case.name: {
                "streams_per_gpu": case.streams,
                "clients_per_gpu": case.clients,
                "rows_per_request": case.per_request,
            }
            for case in every
        },
        "loops": list(LOOPS),
        "batch_sizes": list(BATCH_SIZES),
        "seconds": options.seconds / 2,
    }
    wanted = wanted_ratios([case.name for case in every])
    finish("two_gpus", table, wanted, options, parameters, same_bits=same_bits)
    return 0


if __name__ == "__main__":
    sys.exit(main())
