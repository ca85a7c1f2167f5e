"""What streams share: ResNet-50 at every batch size on one to four streams, no engine.

The cost curves of the simulator (`benchmarks/simulation/costs.py`) come from here.
`python -m benchmarks.gpu.streams`.
"""

import random
import threading
import time
from collections.abc import Sequence

import numpy as np

from benchmarks.gpu.clients import Sample
from benchmarks.gpu.results import Table, parse, save
from benchmarks.gpu.works import Work, resnet_work
from benchmarks.gpu.yardsticks import Lane
from benchmarks.report import cell_name
from support.gpu.hardware import enter, new_stream
from support.gpu.plans import BUCKETS, use_double
from support.gpu.resnet import ResNet50

STREAMS = (1, 2, 3, 4)
DEPTHS = (1, 2)
"""Batches on a stream at once. One: what a batch takes beside others. Two: what is to be had."""
DTYPES = ("float32", "uint8")
SHARE = 0.1
"""Of `--seconds`, per sample: there are 56 for each input type and round."""


class Streams:
    """Streams with two sets of buffers each, filled once."""

    def __init__(self, work: Work, streams: int):
        self._lanes = [
            [Lane(work, stream) for _ in range(max(DEPTHS))]
            for stream in [new_stream() for _ in range(streams)]
        ]
        rows = work.rows(self._lanes[0][0].capacity)
        for lanes in self._lanes:
            for lane in lanes:
                lane.x[...] = np.stack(rows)

    def run(self, streams: int, depth: int, rows: int, seconds: float) -> Sample:
        """Back to back, on every stream the same: batches per second and what each took."""
        taken: list[list[float]] = [[] for _ in range(streams)]
        start = threading.Barrier(streams + 1)

        def drive(index: int) -> None:
            enter()
            lanes = self._lanes[index][:depth]
            _drive(lanes, rows, 0.0, [])
            start.wait()
            _drive(lanes, rows, time.perf_counter() + seconds, taken[index])

        threads = [threading.Thread(target=drive, args=(index,)) for index in range(streams)]
        for thread in threads:
            thread.start()
        start.wait()
        began = time.perf_counter()
        for thread in threads:
            thread.join()
        passed = time.perf_counter() - began
        every = [each for found in taken for each in found]
        return {
            "requests_per_second": rows * len(every) / passed,
            "batch_us": passed / len(every) * 1e6,
            "p50_us": float(np.percentile(every, 50)) * 1e6,
            "p99_us": float(np.percentile(every, 99)) * 1e6,
        }

    def close(self) -> None:
        """Give everything back."""
        for lanes in self._lanes:
            for lane in lanes:
                lane.close()


def _drive(lanes: Sequence[Lane], rows: int, end: float, taken: list[float]) -> None:
    """Batches one after the other until `end`; each takes from its enqueueing to its event."""
    clock = time.perf_counter
    began = [0.0] * len(lanes)
    for index, lane in enumerate(lanes):
        began[index] = clock()
        lane.enqueue(rows)
    turn, going = 0, len(lanes)
    while going:
        lanes[turn].wait()
        now = clock()
        taken.append(now - began[turn])
        if now < end:
            began[turn] = now
            lanes[turn].enqueue(rows)
        else:
            going -= 1
        turn = (turn + 1) % len(lanes)


def measure(work: Work, rounds: int, seconds: float, table: Table) -> None:
    """Every cell once per round, in shuffled order."""
    streams = Streams(work, max(STREAMS))
    cells = [(many, depth, rows) for many in STREAMS for depth in DEPTHS for rows in BUCKETS]
    order = random.Random(3)
    for _ in range(rounds):
        order.shuffle(cells)
        for many, depth, rows in cells:
            name = cell_name(work.dtype, f"{many} streams, depth {depth}", f"{rows} rows")
            table.add(name, streams.run(many, depth, rows, seconds))
    streams.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    options = parse("streams", __doc__, list(arguments) if arguments is not None else None)
    use_double()
    enter()
    table = Table()
    model = ResNet50(fuse=False)
    for dtype in DTYPES:
        measure(resnet_work(model, dtype), options.rounds, options.seconds * SHARE, table)
    model.close()
    parameters = {
        "model": "ResNet-50, half precision, channels last, random weights",
        "streams": list(STREAMS),
        "depths": list(DEPTHS),
        "rows": list(BUCKETS),
        "rounds": options.rounds,
        "seconds": options.seconds * SHARE,
    }
    save("streams", parameters, table.samples(), {"cells": table.summary()}, options.out)


if __name__ == "__main__":
    main()
