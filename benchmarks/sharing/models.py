"""The model of `benchmarks.systems`, as a file."""

from pathlib import Path

import numpy as np

from benchmarks.systems import CLASSES, COLUMNS, WEIGHTS
from support.onnx_models import FLOAT, node, value, write_model


def product(folder: Path) -> Path:
    """For ONNX Runtime."""
    return write_model(
        folder / "product.onnx",
        [node("MatMul", ["x", "w"], ["y"])],
        [value("x", FLOAT, ["N", COLUMNS])],
        [value("y", FLOAT, ["N", CLASSES])],
        {"w": np.asarray(WEIGHTS)},
    )
