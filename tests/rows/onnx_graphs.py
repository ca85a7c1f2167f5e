"""Small ONNX graphs for tests of the proof, and what a runtime makes of them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from trtasync.rows.proof import Proof, prove

Array = npt.NDArray[Any]
Shape = Sequence[int | str | None]

TYPES = {
    "f": TensorProto.FLOAT,
    "i": TensorProto.INT64,
    "b": TensorProto.BOOL,
    "u": TensorProto.UINT8,
}


def ints(*numbers: int) -> Array:
    return np.array(numbers, np.int64)


def floats(*numbers: float) -> Array:
    return np.array(numbers, np.float32)


def node(operator: str, inputs: str, outputs: str, domain: str = "", **attributes: Any) -> Any:
    """A node; names are separated by blanks, "-" is an input that is left out."""
    names = ["" if name == "-" else name for name in inputs.split()]
    return helper.make_node(operator, names, outputs.split(), domain=domain, **attributes)


def graph(
    nodes: Sequence[Any],
    inputs: Mapping[str, Any],
    outputs: str,
    constants: Mapping[str, Any] | None = None,
) -> Any:
    """A graph.

    Args:
        nodes: in order.
        inputs: name -> shape, of floats; or (letter of the type, shape).
        outputs: names, separated by blanks.
        constants: name -> array.
    """
    given = []
    for name, shape in inputs.items():
        letter, axes = shape if isinstance(shape, tuple) else ("f", shape)
        given.append(helper.make_tensor_value_info(name, TYPES[letter], axes))
    return helper.make_graph(
        list(nodes),
        "test",
        given,
        [onnx.ValueInfoProto(name=name) for name in outputs.split()],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in (constants or {}).items()],
    )


def model(
    nodes: Sequence[Any],
    inputs: Mapping[str, Any],
    outputs: str,
    constants: Mapping[str, Any] | None = None,
    opset: int = 17,
    functions: Sequence[Any] = (),
) -> Any:
    """A model, with the operator sets of ONNX, ONNX-ML and ONNX Runtime."""
    versions = {"": opset, "ai.onnx.ml": 3, "com.microsoft": 1, "own": 1}
    return helper.make_model(
        graph(nodes, inputs, outputs, constants),
        opset_imports=[helper.make_opsetid(domain, each) for domain, each in versions.items()],
        functions=list(functions),
        ir_version=10,
    )


def proofs(
    nodes: Sequence[Any] | Any,
    inputs: Mapping[str, Any],
    constants: Mapping[str, Any] | None = None,
    opset: int = 17,
    outputs: str = "y",
) -> dict[str, Proof]:
    """Proofs of a graph whose rows lie along the axes called "N"; other inputs are shared."""
    nodes = nodes if isinstance(nodes, (list, tuple)) else [nodes]
    made = model(nodes, inputs, outputs, constants, opset)
    return prove(made, axes_of(inputs))


def axes_of(inputs: Mapping[str, Any]) -> dict[str, int | None]:
    axes: dict[str, int | None] = {}
    for name, shape in inputs.items():
        sizes = list(shape[1] if isinstance(shape, tuple) else shape)
        axes[name] = sizes.index("N") if "N" in sizes else None
    return axes


class Example(NamedTuple):
    """A graph: nodes, inputs with the rows along "N", constants, and the operator set."""

    nodes: Any
    inputs: dict[str, Any]
    constants: dict[str, Any] | None = None
    opset: int = 17
