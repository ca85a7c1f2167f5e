"""A timeline of requests, slots and streams, in Chrome's trace-event format (opens in Perfetto).

If there is a `Recorder`, the engine reports every finished batch to it; the rest is derived here
afterwards. Format: "Trace Event Format", Google, complete events (`"ph": "X"`).
"""

import heapq
import json
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from trtasync.core.records import BatchRecord
from trtasync.system.atomic_files import written_whole

MOST_TRACED = 20_000
"""Most requests kept, the latest: some 20 MB of JSON, which Perfetto opens easily."""

REQUESTS, SLOTS, STREAMS = 1, 2, 3
_NAMES = {REQUESTS: "requests", SLOTS: "slots", STREAMS: "streams"}

TraceEvent = dict[str, Any]


class Recorder:
    """Keeps the latest batches; pass it to `trtasync.engine.watch`."""

    def __init__(self, limit: int = MOST_TRACED):
        """Start without batches.

        Args:
            limit: the most requests to keep.
        """
        self.batches: deque[BatchRecord] = deque()
        self._limit = limit
        self._requests = 0

    def __call__(self, batch: BatchRecord) -> None:
        """Keep a `batch`, and drop the oldest ones beyond the limit."""
        self.batches.append(batch)
        self._requests += len(batch.arrivals)
        while self._requests > self._limit and len(self.batches) > 1:
            self._requests -= len(self.batches.popleft().arrivals)

    def write(self, path: Path) -> None:
        """Write the trace to the file `path`, completely or not at all."""
        with written_whole(path) as file:
            file.write(json.dumps(trace(self.batches)).encode())


def trace(batches: Iterable[BatchRecord]) -> dict[str, Any]:
    """Make the trace of batches, which are given in the order in which they ended."""
    found = list(batches)
    origin = min((min(batch.arrivals) for batch in found), default=0.0)
    pen = _Pen(origin)
    _requests(pen, found)
    _slots(pen, found)
    _streams(pen, found)
    return {"traceEvents": pen.finished(), "displayTimeUnit": "ms"}


class _Pen:
    """Writes spans."""

    def __init__(self, origin: float):
        self._origin = origin
        self._events: list[TraceEvent] = []
        self._tracks: set[tuple[int, int]] = set()

    def span(
        self, process: int, track: int, name: str, begin: float, end: float, **more: Any
    ) -> None:
        """Add a span between two times in seconds, rounded to nanoseconds, which keeps nesting."""
        self._tracks.add((process, track))
        start, stop = (round((when - self._origin) * 1e9) for when in (begin, end))
        self._events.append(
            {
                "name": name,
                "ph": "X",
                "pid": process,
                "tid": track,
                "ts": start / 1000,
                "dur": max(0, stop - start) / 1000,
                "args": more,
            }
        )

    def finished(self) -> list[TraceEvent]:
        """All spans, with the names of the processes and tracks."""
        named = [
            _meta("process_name", process, 0, name)
            for process, name in _NAMES.items()
            if any(process == owner for owner, _ in self._tracks)
        ]
        for process, track in sorted(self._tracks):
            one = _NAMES[process].removesuffix("s")
            named.append(_meta("thread_name", process, track, f"{one} {track}"))
        return named + self._events


def _meta(kind: str, process: int, track: int, name: str) -> TraceEvent:
    return {"name": kind, "ph": "M", "pid": process, "tid": track, "args": {"name": name}}


def _requests(pen: _Pen, batches: list[BatchRecord]) -> None:
    """Draw requests; simultaneous ones are on different tracks."""
    spans = sorted(
        (
            (arrival, batch.delivered, index)
            for index, batch in enumerate(batches)
            for arrival in batch.arrivals
        ),
        key=lambda span: span[0],
    )
    busy: list[tuple[float, int]] = []
    for arrival, delivered, index in spans:
        free = busy and busy[0][0] <= arrival
        track = heapq.heappop(busy)[1] if free else len(busy)
        heapq.heappush(busy, (delivered, track))
        batch = batches[index]
        pen.span(REQUESTS, track, "request", arrival, delivered, batch=index, rows=batch.rows)
        pen.span(REQUESTS, track, "queue", arrival, batch.started)
        pen.span(REQUESTS, track, "run", batch.started, batch.ended)
        pen.span(REQUESTS, track, "deliver", batch.ended, delivered)


def _slots(pen: _Pen, batches: list[BatchRecord]) -> None:
    """Draw each slot's phases. The first row may have waited for the slot to become free."""
    numbers: dict[int, int] = {}
    free: dict[int, float] = {}
    for index, batch in enumerate(batches):
        track = numbers.setdefault(batch.slot, len(numbers))
        begin = max(min(batch.arrivals), free.get(track, min(batch.arrivals)))
        begin = min(begin, batch.started)
        pen.span(SLOTS, track, f"batch of {batch.rows}", begin, batch.delivered, batch=index)
        pen.span(SLOTS, track, "form", begin, batch.started)
        pen.span(SLOTS, track, "run", batch.started, batch.ended, stream=batch.lane)
        pen.span(SLOTS, track, "answer", batch.ended, batch.delivered)
        free[track] = batch.delivered


def _streams(pen: _Pen, batches: list[BatchRecord]) -> None:
    """Draw the batches of each stream, with their stages if these were measured.

    A batch that was enqueued behind another begins when that one ends. Stages are placed such that
    the last one ends when the engine noticed the end.
    """
    free: dict[int, float] = {}
    for batch in batches:
        begin = min(max(batch.started, free.get(batch.lane, batch.started)), batch.ended)
        rows = {"rows": batch.rows, "padding": batch.run_rows - batch.rows}
        pen.span(STREAMS, batch.lane, f"batch of {batch.rows}", begin, batch.ended, **rows)
        if batch.times is not None:
            end = batch.ended
            for name, seconds in reversed(list(zip(_STAGES, batch.times, strict=True))):
                start = max(begin, end - seconds)
                if seconds:
                    pen.span(STREAMS, batch.lane, name, start, end)
                end = start
        free[batch.lane] = batch.ended


_STAGES = ("copy in", "compute", "copy out")
