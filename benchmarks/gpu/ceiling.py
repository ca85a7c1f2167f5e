"""The ceiling: what the GPU and the bus give when nobody gathers rows and nobody asks.

One plain thread per stream, two sets of pinned buffers each, filled once: copy in, graph, copy out,
event; wait for the older set, enqueue it again.
"""

import threading
import time
from collections.abc import Sequence

from benchmarks.gpu.clients import Sample
from benchmarks.gpu.works import Work
from benchmarks.gpu.yardsticks import Lane
from support.gpu.hardware import Array, enter, new_stream
from support.gpu.plans import LARGEST

SETS = 2


class Ceiling:
    """Streams with their buffers; `run` uses the first few of them."""

    def __init__(self, work: Work, streams: int, rows: Sequence[Array]):
        """rows: what is computed, over and over."""
        self._streams = [
            [Lane(work, stream, (LARGEST,)) for _ in range(SETS)]
            for stream in [new_stream() for _ in range(streams)]
        ]
        for lanes in self._streams:
            for lane in lanes:
                for place, row in zip(lane.x, rows, strict=False):
                    place[...] = row

    def run(self, streams: int, seconds: float) -> Sample:
        """Images per second on so many streams."""
        counts = [0] * streams
        start = threading.Barrier(streams + 1)

        def drive(index: int) -> None:
            enter()
            start.wait()
            counts[index] = _drive(self._streams[index], time.perf_counter() + seconds)

        threads = [threading.Thread(target=drive, args=(index,)) for index in range(streams)]
        for thread in threads:
            thread.start()
        start.wait()
        began, cpu = time.perf_counter(), time.process_time()
        for thread in threads:
            thread.join()
        passed, cpu = time.perf_counter() - began, time.process_time() - cpu
        images = sum(counts) * LARGEST
        return {
            "requests": images,
            "seconds": passed,
            "requests_per_second": images / passed,
            "cpu_us": cpu / images * 1e6,
            "cpu_cores": cpu / passed,
        }

    def close(self) -> None:
        """Give everything back."""
        for lanes in self._streams:
            for lane in lanes:
                lane.close()


def _drive(lanes: Sequence[Lane], end: float) -> int:
    """Batches done until `end`, those in flight then included."""
    for lane in lanes:
        lane.enqueue(lane.capacity)
    count = len(lanes)
    while time.perf_counter() < end:
        lane = lanes[count % len(lanes)]
        lane.wait()
        lane.enqueue(lane.capacity)
        count += 1
    for lane in lanes:
        lane.wait()
    return count
