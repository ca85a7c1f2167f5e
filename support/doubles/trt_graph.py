"""What a network computes, with numpy; ONNX models with ONNX Runtime's CPU provider."""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

Shape = tuple[int, ...]


@dataclass
class Operation:
    """One step of a network.

    Attributes:
        kind: a key of `KERNELS`.
        inputs: numbers of tensors.
        outputs: numbers of tensors.
        options: what else the kernel wants.
    """

    kind: str
    inputs: list[int]
    outputs: list[int]
    options: dict[str, Any]


@dataclass
class Graph:
    """A network as a plan holds it.

    Attributes:
        inputs: numbers of tensors, in order.
        outputs: numbers of tensors, in order.
        operations: in an order in which they can be run.
    """

    inputs: list[int]
    outputs: list[int]
    operations: list[Operation]

    def __call__(self, *arrays: Any) -> tuple[Any, ...]:
        """The outputs for inputs in order.

        Raises:
            Exception: whatever numpy or ONNX Runtime raises.
        """
        known = dict(zip(self.inputs, arrays, strict=True))
        for operation in self.operations:
            results = KERNELS[operation.kind](
                operation.options, *(known[n] for n in operation.inputs)
            )
            known.update(zip(operation.outputs, results, strict=True))
        return tuple(known[number] for number in self.outputs)


def _identity(options: dict[str, Any], array: Any) -> tuple[Any]:
    return (array,)


def _same_types(options: dict[str, Any], one: Any, other: Any) -> None:
    if one.dtype != other.dtype and options["strong"]:
        raise TypeError(
            f"input tensors must have equal types but have {one.dtype} and {other.dtype}"
        )


def _elementwise(options: dict[str, Any], one: Any, other: Any) -> tuple[Any]:
    _same_types(options, one, other)
    if one.ndim != other.ndim:
        raise ValueError(f"inputs must have the same rank but have {one.shape} and {other.shape}")
    divide = np.divide if one.dtype.kind == "f" else np.floor_divide
    functions: dict[str, Callable[..., Any]] = {
        "SUM": np.add,
        "PROD": np.multiply,
        "MAX": np.maximum,
        "MIN": np.minimum,
        "SUB": np.subtract,
        "DIV": divide,
    }
    return (functions[options["op"]](one, other).astype(one.dtype, copy=False),)


def _activation(options: dict[str, Any], array: Any) -> tuple[Any]:
    functions: dict[str, Callable[..., Any]] = {
        "RELU": lambda x: np.maximum(x, 0),
        "SIGMOID": lambda x: 1 / (1 + np.exp(-x)),
        "TANH": np.tanh,
    }
    return (functions[options["type"]](array).astype(array.dtype, copy=False),)


def _constant(options: dict[str, Any]) -> tuple[Any]:
    return (options["array"].reshape(options["shape"]),)


def _matrix_multiply(options: dict[str, Any], one: Any, other: Any) -> tuple[Any]:
    _same_types(options, one, other)
    factors = (
        array.swapaxes(-1, -2) if op == "TRANSPOSE" else array
        for array, op in ((one, options["op0"]), (other, options["op1"]))
    )
    return (np.matmul(*factors),)


def _cast(options: dict[str, Any], array: Any) -> tuple[Any]:
    return (array.astype(options["to"]),)


def _shape(options: dict[str, Any], array: Any) -> tuple[Any]:
    return (np.array(array.shape, np.int64),)


def _shuffle(options: dict[str, Any], array: Any, shape: Any = None) -> tuple[Any]:
    array = array.transpose(options["first"] or range(array.ndim))
    wanted = options["shape"] if shape is None else tuple(int(n) for n in shape)
    if wanted is not None:
        array = array.reshape([array.shape[i] if n == 0 else n for i, n in enumerate(wanted)])
    return (array,)


def _onnx(options: dict[str, Any], *arrays: Any) -> tuple[Any, ...]:
    session = _session(options["digest"], options["model"])
    doubles = [each.name for each in session.get_inputs() if each.type == "tensor(double)"]
    inputs = dict(zip(options["inputs"], arrays, strict=True))
    inputs |= {name: inputs[name].astype(np.float64) for name in doubles}
    answers = session.run(None, inputs)
    return tuple(a.astype(np.float32) if a.dtype == np.float64 else a for a in answers)


@lru_cache(maxsize=16)
def _session_of(digest: bytes) -> Any:
    runtime = _runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return runtime.InferenceSession(_contents[digest], options, providers=["CPUExecutionProvider"])


_contents: dict[bytes, bytes] = {}


def _session(digest: bytes, model: bytes) -> Any:
    """Made once per content."""
    _contents.setdefault(digest, model)
    return _session_of(digest)


def _runtime() -> Any:
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # it would start a thread at the first import
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    return onnxruntime


def digest_of(model: bytes) -> bytes:
    """Of an ONNX model's bytes."""
    return hashlib.sha256(model).digest()


KERNELS: dict[str, Callable[..., tuple[Any, ...]]] = {
    "identity": _identity,
    "elementwise": _elementwise,
    "activation": _activation,
    "constant": _constant,
    "matrix_multiply": _matrix_multiply,
    "cast": _cast,
    "shape": _shape,
    "shuffle": _shuffle,
    "onnx": _onnx,
}


def on_zeros(
    graph: Graph, kinds: Sequence[tuple[str, Any, bool]], known: dict[str, Shape]
) -> list[Any]:
    """The outputs for inputs of nothing but zeros.

    Args:
        graph: the network.
        kinds: (name, dtype, is a shape tensor) of each input.
        known: of each input the shape, or the values of a shape tensor.
    """
    arrays = [
        np.array(known[name], dtype) if host else np.zeros(known[name], dtype)
        for name, dtype, host in kinds
    ]
    return list(graph(*arrays))
