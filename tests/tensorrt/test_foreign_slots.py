"""A slot of one lane on another lane of the same GPU."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support import doubles
from support.doubles import Installed, models
from support.helpers import PATIENCE, same
from tests.tensorrt.support import double, write
from trtasync.requests.reader import RequestReader
from trtasync.runtimes import OpenLane
from trtasync.runtimes.plan_files import PlanFile
from trtasync.runtimes.tensorrt import TensorRTBackend, TensorRTOptions, load

NARROW, WIDE = 4, 6 * 1024
"""Floats of a row: copied inside a whole graph, and around the network's."""


class Opened:
    """Two lanes of one backend."""

    def __init__(self, path: Path, **options: Any):
        self.backend: TensorRTBackend = load(PlanFile(path), TensorRTOptions(padding={}, **options))
        self.lanes: list[OpenLane] = list(self.backend.open(2, 4, (1, 2, 4)))
        self._reader = RequestReader(self.backend.spec, {}, lambda layout: layout)

    def run(self, lane: int, slot: Any, x: Any) -> Any:
        """Stage rows, run them on a lane; gives its answer."""
        signature, arrays = self._reader.read(x)
        slot.bind(signature.queue).write(0, len(x), arrays)
        rows = next(size for size in (1, 2, 4) if size >= len(x))
        there = threading.Event()
        if slot.copies is not None and not slot.copies.done(there.set):  # a copy thread is at it
            assert there.wait(PATIENCE)
        slot.pad(len(x), rows)
        self.lanes[lane].lane.launch(slot, rows)
        self.lanes[lane].lane.wait(slot)
        answer = slot.outputs[0][: len(x)].copy()
        slot.let_go()
        return answer

    def close(self, order: tuple[int, int]) -> None:
        """Lanes in this order, then the backend."""
        for index in order:
            self.lanes[index].lane.close()
        self.backend.close()


@pytest.fixture
def gpu() -> Iterator[Installed]:
    with doubles.install() as installed:
        yield installed
    assert installed.world.violations == []


def rows(count: int, width: int, first: float = 0.0) -> Any:
    """Different numbers everywhere."""
    return first + np.arange(count * width, dtype=np.float32).reshape(count, width)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("graphs", [True, False])
@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_there_and_back_and_nothing_is_left(
    gpu: Installed, tmp_path: Path, width: int, graphs: bool, order: tuple[int, int]
) -> None:
    path = write(tmp_path, models.elementwise(double, width=width, name="any"))
    opened = Opened(path, graphs=graphs)
    slot = opened.lanes[0].slots[0]
    for number, lane in enumerate((1, 0, 1, 1, 0)):
        for count in (3, 1, 4, 2):
            x = rows(count, width, 100.0 * number)
            assert same(opened.run(lane, slot, x), double(x))
    del slot
    opened.close(order)


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_the_network_is_a_graph_there_too(gpu: Installed, tmp_path: Path, width: int) -> None:
    path = write(tmp_path, models.elementwise(double, width=width, name="any"))
    opened = Opened(path)
    enqueued = gpu.context_calls["execute_async_v3"]
    launched = gpu.world.calls["cudaGraphLaunch"]
    x = rows(3, width)
    for _ in range(3):
        assert same(opened.run(1, opened.lanes[0].slots[0], x), double(x))
    assert gpu.context_calls["execute_async_v3"] == enqueued
    assert gpu.world.calls["cudaGraphLaunch"] == launched + 3
    opened.close((1, 0))


def test_rows_in_pinned_memory_of_their_own_are_gathered_there_too(
    gpu: Installed, tmp_path: Path
) -> None:
    path = write(tmp_path, models.elementwise(double, width=WIDE, name="any"))
    opened = Opened(path, inline_bytes=0)
    x = opened.backend.empty_input((3, WIDE), np.dtype(np.float32))
    x[...] = rows(3, WIDE)
    slot = opened.lanes[0].slots[0]
    for lane in (1, 0, 1):
        assert same(opened.run(lane, slot, x), double(x))
    del x, slot
    opened.close((0, 1))


def test_a_slot_keeps_nothing_of_a_lane_that_is_not_its_own(gpu: Installed, tmp_path: Path) -> None:
    path = write(tmp_path, models.elementwise(double, width=NARROW, name="any"))
    opened = Opened(path)
    slot: Any = opened.lanes[0].slots[0]
    x = rows(2, NARROW)
    opened.run(1, slot, x)
    assert slot.views is not None
    assert not slot.views.cache
    opened.run(0, slot, x)
    assert list(slot.views.cache) == [2]
    opened.close((1, 0))
