"""Small ONNX models, node by node."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64, STRING = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING

Make = Callable[..., Path]
"""What a fixture `make` gives: it writes a model to a file of the test's own."""


def node(kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> Any:
    return helper.make_node(kind, inputs, outputs, **attributes)


def constant(name: str, array: npt.ArrayLike) -> Any:
    """A node whose only output is this array."""
    value = numpy_helper.from_array(np.asarray(array))
    return helper.make_node("Constant", [], [name], value=value)


def value(name: str, kind: int, shape: Sequence[int | str | None] | None) -> Any:
    """An input or output; `shape` is None where the rank is not declared."""
    return helper.make_tensor_value_info(name, kind, shape)


def write_model(
    path: Path,
    nodes: Sequence[Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    weights: Mapping[str, npt.NDArray[Any]] | None = None,
) -> Path:
    """Write the model, whether it makes sense or not; returns the path."""
    tensors = [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    graph = helper.make_graph(list(nodes), "model", list(inputs), list(outputs), tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return path
