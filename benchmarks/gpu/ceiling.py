"""The ceiling: what the GPU and the bus deliver without gathering rows or requests.

One plain thread per stream, two sets of pinned buffers each, filled once: copy in, graph, copy out,
event; wait for the older set, enqueue it again.
"""

import threading
import time
from collections.abc import Sequence

from benchmarks.gpu.works import Work
from benchmarks.gpu.yardsticks import Lane
from benchmarks.load import PERCENTILES, Sample
from support.gpu.hardware import Array, enter, new_stream
from support.gpu.plans import LARGEST
from trtasync.measure.statistics import percentiles
from trtasync.measure.window import timed

SETS = 2


class Ceiling:
    """Streams with their buffers; `run` uses the first few of them."""

    def __init__(
        self, work: Work, streams: int, rows: Sequence[Array], buckets: Sequence[int] = (LARGEST,)
    ):
        """Allocate the buffers and fill them.

        Args:
            work: the model.
            streams: at most.
            rows: what is computed, over and over.
            buckets: batch sizes, ascending.
        """
        self._streams = [
            [Lane(work, stream, buckets) for _ in range(SETS)]
            for stream in [new_stream() for _ in range(streams)]
        ]
        for lanes in self._streams:
            for lane in lanes:
                for place, row in zip(lane.x, rows, strict=False):
                    place[...] = row

    def run(self, streams: int, seconds: float, rows: int = LARGEST, depth: int = SETS) -> Sample:
        """Run batches back to back, the same on every stream.

        Args:
            streams: how many.
            seconds: how long; batches in flight at the end are waited for, and count.
            rows: of a batch.
            depth: batches on a stream at once.

        Returns:
            p50 and p99 are those of a batch, from its enqueueing to its event.
        """
        taken: list[list[float]] = [[] for _ in range(streams)]
        start = threading.Barrier(streams + 1)

        def drive(index: int) -> None:
            enter()
            lanes = self._streams[index][:depth]
            _drive(lanes, rows, 0.0)
            start.wait()
            taken[index] = _drive(lanes, rows, time.perf_counter() + seconds)

        threads = [threading.Thread(target=drive, args=(index,)) for index in range(streams)]
        for thread in threads:
            thread.start()
        start.wait()

        def join() -> int:
            for thread in threads:
                thread.join()
            return rows * sum(map(len, taken))

        found = timed("requests", join)
        found["batch_us"] = rows / found["requests_per_second"] * 1e6
        return found | percentiles("", [each for some in taken for each in some], PERCENTILES)

    def close(self) -> None:
        """Free everything."""
        for lanes in self._streams:
            for lane in lanes:
                lane.close()


def _drive(lanes: Sequence[Lane], rows: int, end: float) -> list[float]:
    """How long each batch took that began before `end`, at least one per lane."""
    clock = time.perf_counter
    taken: list[float] = []
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
    return taken
