"""The throughput of the lanes alone, without requests: an upper bound for any engine.

The engine's own lanes and slots, filled once, run full batches back to back while the engine is
idle. This includes copies in and out, but no requests, futures or event loop.
"""

import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from trtasync.measure.statistics import Figures
from trtasync.measure.window import timed
from trtasync.memory.slots import Views
from trtasync.model.arrays import Array
from trtasync.requests.signature import Layout
from trtasync.runtimes import Lane, OpenLane

Arrays = Sequence[Array]
"""One request: an array per row input."""

COPY_SECONDS = 30.0
"""Most seconds to wait for copy threads."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A lane with slots that hold a full batch each.

    Attributes:
        lane: runs the slots.
        slots: as many as the lane accepts at once.
        rows: per slot.
    """

    lane: Lane
    slots: deque[Any]
    rows: int


def fill(opened: OpenLane, layout: Layout, rows: int, requests: Sequence[Arrays]) -> Filled:
    """Write requests into a lane's slots, as the engine would.

    Args:
        opened: an idle lane.
        layout: layout of the requests.
        rows: rows of a batch.
        requests: used in turn.
    """
    slots = list(opened.slots)[: max(1, opened.lane.depth)]
    for slot in slots:
        write(slot.bind(layout), rows, requests)
        there = threading.Event()
        if slot.copies is not None and not slot.copies.done(there.set):
            there.wait(COPY_SECONDS)
    return Filled(opened.lane, deque(slots), rows)


def write(views: Views, rows: int, requests: Sequence[Arrays]) -> None:
    """Fill the first `rows` rows with requests, of which the last is truncated if necessary."""
    shapes = views.layout.shapes
    at, turn = 0, 0
    while at < rows:
        arrays = requests[turn % len(requests)]
        batched = arrays[0].ndim > len(shapes[0])
        count = min(len(arrays[0]) if batched else 1, rows - at)
        parts = [array[:count] for array in arrays] if batched else arrays
        views.write(at, count, parts[0] if len(parts) == 1 else parts)
        at, turn = at + count, turn + 1


def measure(filled: Sequence[Filled], seconds: float) -> Figures:
    """Run full batches on all lanes for some seconds; to be called in a thread.

    This thread drives all asynchronous lanes: it polls them in turn and never sleeps. Each of the
    other lanes gets its own thread. Batches that began before the time was up count, and every lane
    runs at least one.
    """
    free = [each for each in filled if each.lane.asynchronous]
    bound = [each for each in filled if not each.lane.asynchronous]

    def run() -> int:
        end = time.perf_counter() + seconds
        with ThreadPoolExecutor(len(bound) + 1) as pool:
            running = [pool.submit(_run, each, end) for each in bound]
            rows = _poll(free, end) if free else 0
            return rows + sum(each.result() for each in running)

    found = timed("rows", run)
    for each in filled:
        for slot in each.slots:
            slot.let_go()
    return found


def _run(each: Filled, end: float) -> int:
    lane, slot, rows = each.lane, each.slots[0], each.rows
    done = 0
    while not done or time.perf_counter() < end:
        lane.launch(slot, rows)
        lane.wait(slot)
        done += rows
    return done


def _poll(lanes: Sequence[Filled], end: float) -> int:
    for each in lanes:
        for slot in each.slots:
            each.lane.launch(slot, each.rows)
    done = 0
    while time.perf_counter() < end:
        for each in lanes:
            slot = each.slots[0]
            if each.lane.ready(slot):
                each.lane.wait(slot)
                done += each.rows
                each.lane.launch(slot, each.rows)
                each.slots.rotate(-1)
    for each in lanes:
        for slot in each.slots:
            each.lane.wait(slot)
            done += each.rows
    return done
