"""A run costs no exceptions of C++: unwinding takes longer than many a model."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from support.onnx_models import FLOAT, Make, node, value
from trtasync.measure.opened import open_tapped

pytestmark = pytest.mark.anyio


@contextmanager
def raised() -> Iterator[list[str]]:
    """Functions in C that raised meanwhile, in this thread."""
    names: list[str] = []

    def note(frame: Any, event: str, argument: Any) -> None:
        if event == "c_exception":
            names.append(argument.__name__)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield names
    finally:
        sys.setprofile(before)


async def test_a_bound_run_raises_nothing_inside(make: Make) -> None:
    shape: list[int | str | None] = ["N", 4]
    model = make(
        [node("Neg", ["x"], ["y"])], [value("x", FLOAT, shape)], [value("y", FLOAT, shape)]
    )
    async with open_tapped(model, {"batching": True}) as opened:
        (lane,) = opened.tap.lanes
        await opened.engine.infer(np.ones(4, np.float32))
        slot = next(each for each in lane.slots if each.views is not None)
        for _ in range(2):  # the second with options of its own
            lane.lane.launch(slot, 1)
            with raised() as names:
                lane.lane.wait(slot)
            assert names == []
            assert np.array_equal(slot.outputs[0], [[-1, -1, -1, -1]])
            lane.lane.stop()  # type: ignore[attr-defined] # what this lane has
