"""Design A: the batcher that one would write by hand in an afternoon, and a plain call without.

A thread per stream takes what is queued, gathers the rows into pinned memory, runs the batch, waits
and tells the loop.
"""

import asyncio
import threading
import time
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from typing import NamedTuple

import numpy as np

from benchmarks.gpu.works import Work
from benchmarks.gpu.yardsticks import Lane
from benchmarks.load import PERCENTILES, Sample
from support.gpu.hardware import Array, enter
from trtasync.measure.statistics import percentiles
from trtasync.measure.window import timed


class Request(NamedTuple):
    """One row and the future of its answer."""

    row: Array
    future: asyncio.Future[Array]


class DesignA:
    """Of a running loop; `aclose` ends it. The lanes stay the caller's."""

    def __init__(self, lanes: Sequence[Lane]):
        """lanes: one per thread, each on a stream of its own."""
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[Request | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._serve, args=(lane,), name="design-a") for lane in lanes
        ]
        for thread in self._threads:
            thread.start()

    async def infer(self, row: Array) -> Array:
        """The answer to one row."""
        future: asyncio.Future[Array] = self._loop.create_future()
        self._queue.put(Request(row, future))
        return await future

    async def aclose(self) -> None:
        """End the threads."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def _serve(self, lane: Lane) -> None:
        enter()
        while batch := self._take(lane.capacity):
            count = len(batch)
            np.stack([request.row for request in batch], out=lane.x[:count])
            lane.enqueue(count)
            lane.wait()
            self._loop.call_soon_threadsafe(_resolve, batch, lane.y[:count].copy())

    def _take(self, most: int) -> list[Request]:
        """What is queued, at least one request; nothing at the end."""
        first = self._queue.get()
        if first is None:
            return []
        batch = [first]
        while len(batch) < most:
            try:
                request = self._queue.get_nowait()
            except Empty:
                break
            if request is None:
                self._queue.put(None)
                break
            batch.append(request)
        return batch


def _resolve(batch: Sequence[Request], answers: Array) -> None:
    for request, answer in zip(batch, answers, strict=True):
        if not request.future.done():
            request.future.set_result(answer)


class PlainCall:
    """No batcher: one row into pinned memory, copy in, graph, copy out, wait; synchronous."""

    def __init__(self, work: Work, stream: int, spinning: bool):
        """spinning: wait by burning the core, which wakes sooner than sleeping."""
        self._lane = Lane(work, stream, (1,), spinning)

    def infer(self, row: Array) -> Array:
        """The answer to one row."""
        lane = self._lane
        lane.x[0] = row
        lane.enqueue(1)
        lane.wait()
        answer: Array = lane.y[0].copy()
        return answer

    def run(self, rows: Sequence[Array], seconds: float) -> Sample:
        """One caller, as fast as it can; without an event loop, which `closed_loop` needs."""
        seen: list[float] = []

        def ask() -> int:
            start = time.perf_counter()
            end = start + seconds
            while start < end:
                self.infer(rows[len(seen) % len(rows)])
                now = time.perf_counter()
                seen.append(now - start)
                start = now
            return len(seen)

        return timed("requests", ask) | percentiles("", seen, PERCENTILES)

    def close(self) -> None:
        """Free everything."""
        self._lane.close()
