"""What `--compare` compares an engine with: the ceiling, and trtexec's algorithm."""

import time
from collections.abc import Sequence
from typing import Any, Protocol, cast

import numpy as np

from trtasync.loops import in_thread
from trtasync.measure import ceiling
from trtasync.measure.opened import Opened
from trtasync.measure.statistics import Figures, tail
from trtasync.measure.window import timed
from trtasync.memory.slots import Views
from trtasync.requests.signature import Layout

WARM_UP = 0.2
"""Seconds; the default of trtexec."""


class InferenceStream(Protocol):
    """See `trtasync.runtimes.tensorrt.trtexec.TrtexecStream`."""

    views: Views
    rows: int
    times: list[tuple[float, float, float]]

    def query(self) -> None: ...
    def sync(self) -> bool: ...
    def drain(self) -> None: ...
    def close(self) -> None: ...


class Yardsticks:
    """Yardsticks measured between the samples of an engine, while it is idle.

    Attributes:
        names: the yardsticks of this backend.
    """

    def __init__(self, opened: Opened, requests: Sequence[Any]):
        """Find out which yardsticks there are.

        Args:
            opened: the engine, which has answered one of the requests.
            requests: as for the engine.
        """
        self._tap = opened.tap
        self._layout: Layout = opened.tap.layouts[-1]
        names = [spec.name for spec in opened.tap.spec.row_inputs]
        self._requests = [
            [request[name] for name in names] if isinstance(request, dict) else [request]
            for request in requests
        ]
        self.names: list[str] = ["ceiling"]
        if hasattr(opened.tap.backend, "trtexec"):
            self.names.append("trtexec")

    async def measure(self, name: str, seconds: float) -> Figures:
        """Run the yardstick `name` for some seconds."""
        work = {"ceiling": self._ceiling, "trtexec": self._trtexec}[name]
        return await in_thread(lambda: work(seconds))

    def _ceiling(self, seconds: float) -> Figures:
        filled = [
            ceiling.fill(lane, self._layout, self._tap.largest, self._requests)
            for lane in self._tap.lanes
        ]
        ceiling.measure(filled, min(seconds, WARM_UP))
        return ceiling.measure(filled, seconds)

    def _trtexec(self, seconds: float) -> Figures:
        tap, backend = self._tap, cast(Any, self._tap.backend)
        devices = {lane.lane.device for lane in tap.lanes}
        streams = backend.trtexec(self._layout, tap.largest, len(tap.lanes) // len(devices))
        try:
            for stream in streams:
                ceiling.write(stream.views, stream.rows, self._requests)
            return replay(streams, WARM_UP, seconds)
        finally:
            for stream in streams:
                stream.close()


def replay(streams: Sequence[InferenceStream], warm_up: float, seconds: float) -> Figures:
    """trtexec's loop: enqueue an iteration on every stream, then wait for the older one."""
    _rounds(streams, warm_up)
    for stream in streams:
        stream.times.clear()

    def run() -> int:
        _rounds(streams, seconds)
        return sum(len(stream.times) * stream.rows for stream in streams)

    found = timed("rows", run)
    times = np.array([each for stream in streams for each in stream.times])
    # the same kind of median as trtexec's (`sampleReporting.cpp`)
    found["latency_p50_us"] = tail(np.sort(times.sum(axis=1)), 0.5) * 1e6
    found["compute_p50_us"] = tail(np.sort(times[:, 1]), 0.5) * 1e6
    return found


def _rounds(streams: Sequence[InferenceStream], seconds: float) -> None:
    end = time.perf_counter() + seconds
    while True:
        for stream in streams:
            stream.query()
        for stream in streams:
            stream.sync()
        if time.perf_counter() >= end:
            break
    for stream in streams:
        stream.drain()
