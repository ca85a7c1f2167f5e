"""The models of `benchmarks.systems`, as files for ONNX Runtime."""

from pathlib import Path

import numpy as np

from benchmarks.systems import CLASSES, COLUMNS, IMAGE, WEIGHTS
from support.onnx_models import FLOAT, node, value, write_model


def product(folder: Path) -> Path:
    """`systems.model`: float32[n, 3072] -> float32[n, 10]."""
    return write_model(
        folder / "product.onnx",
        [node("MatMul", ["x", "w"], ["y"])],
        [value("x", FLOAT, ["N", COLUMNS])],
        [value("y", FLOAT, ["N", CLASSES])],
        {"w": np.asarray(WEIGHTS)},
    )


def images(folder: Path) -> Path:
    """`systems.first_columns` of rows of 602 KB."""
    ends = {"begin": np.array([0]), "end": np.array([CLASSES]), "axis": np.array([1])}
    return write_model(
        folder / "images.onnx",
        [node("Slice", ["x", *ends], ["y"])],
        [value("x", FLOAT, ["N", IMAGE])],
        [value("y", FLOAT, ["N", CLASSES])],
        ends,
    )
