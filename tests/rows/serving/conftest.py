"""Models that a test makes for itself, and two that several tests use."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from support.helpers import Array
from support.onnx_models import FLOAT, Make, constant, node, value, write_model


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes a model of nodes, inputs and outputs (name -> axes, or (axes, type)) to a file."""

    def write(
        nodes: Sequence[Any],
        inputs: Mapping[str, Any],
        outputs: Mapping[str, Any],
        weights: Mapping[str, Array] | None = None,
    ) -> Path:
        given = [_value(*each) for each in inputs.items()]
        found = [_value(*each) for each in outputs.items()]
        path = write_model(tmp_path / "model.onnx", nodes, given, found, weights)
        onnx.checker.check_model(path)
        return path

    return write


def _value(name: str, what: Any) -> Any:
    axes, kind = what if isinstance(what, tuple) else (what, FLOAT)
    return value(name, kind, axes)


@pytest.fixture
def cumulated(make: Make) -> Path:
    return make(
        [constant("axis", 0), node("CumSum", ["x", "axis"], ["y"])],
        {"x": ["T", 4]},
        {"y": ["T", 4]},
    )


@pytest.fixture
def detector(make: Make) -> Path:
    """Rows whose first number is positive: how many there are depends on the values."""
    return make(
        [
            constant("zero", np.float32(0)),
            constant("first", np.array(0)),
            node("Gather", ["x", "first"], ["scores"], axis=1),
            node("Greater", ["scores", "zero"], ["kept"]),
            node("Compress", ["x", "kept"], ["y"], axis=0),
        ],
        {"x": ["batch", 6]},
        {"y": ["num_dets", 6]},
    )
