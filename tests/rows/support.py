"""Trials for the tests: ONNX graphs written as text, and numpy functions."""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx.parser

from trtasync.model.arrays import Array
from trtasync.model.tensors import Dim, TensorSpec
from trtasync.rows.verdicts import Finding, Verdict

DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}


def load_runtime() -> Any:
    """ONNX Runtime without its telemetry, which would keep a database open."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    return onnxruntime


def graph(signature: str, body: str) -> bytes:
    """An ONNX model from its text: `(inputs) => (outputs)` and nodes in braces.

    Constants go between the two as `<type[dims] name = {values}>`.
    """
    head = '<ir_version: 9, opset_import: ["": 18]>'
    model = onnx.parser.parse_model(f"{head} test {signature} {body}")
    return bytes(model.SerializeToString())


class OnnxTrial:
    """A model in ONNX Runtime; a `Trial`.

    Attributes:
        runs: arrays of every run that was asked for.
        ended: how many runs were stopped while they were under way.
    """

    def __init__(self, model: bytes | str):
        onnxruntime = load_runtime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        self._session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
        self._options = onnxruntime.RunOptions()
        self._options.log_severity_level = 4
        self.inputs = tuple(map(_spec, self._session.get_inputs()))
        self.outputs = tuple(map(_spec, self._session.get_outputs()))
        self.runs: list[list[Array]] = []
        self.ended = 0

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        self.runs.append(list(arrays))
        feed = {spec.name: array for spec, array in zip(self.inputs, arrays, strict=True)}
        try:
            return list(self._session.run(None, feed, self._options))
        except Exception:
            self.ended += self._options.terminate
            raise

    def stop(self) -> None:
        self._options.terminate = True

    def close(self) -> None:
        del self._session


def _spec(node: Any) -> TensorSpec:
    return TensorSpec(node.name, np.dtype(DTYPES[node.type]), tuple(node.shape))


class FunctionTrial:
    """A numpy function as a model; a `Trial`.

    Args:
        function: of the inputs in order; an array or a tuple of them.
        inputs: shape, or (dtype, shape), by name.
        outputs: how many.

    Attributes:
        runs: arrays of every run that was asked for.
        stopped: set by `stop`; functions may wait for it.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        inputs: Mapping[str, tuple[Any, ...]],
        outputs: int = 1,
    ):
        self._function = function
        self.inputs = tuple(_declared(name, shape) for name, shape in inputs.items())
        self.outputs = tuple(
            TensorSpec(f"y{index}", np.dtype(np.float32), ()) for index in range(outputs)
        )
        self.runs: list[list[Array]] = []
        self.stopped = threading.Event()

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        self.runs.append(list(arrays))
        if self.stopped.is_set():
            raise RuntimeError("stopped")
        results = self._function(*arrays)
        return list(results) if isinstance(results, tuple) else [results]

    def stop(self) -> None:
        self.stopped.set()

    def close(self) -> None:
        """Nothing is held."""


def _declared(name: str, given: tuple[Any, ...]) -> TensorSpec:
    if len(given) == 2 and isinstance(given[1], tuple):
        return TensorSpec(name, np.dtype(given[0]), given[1])
    shape: tuple[Dim, ...] = given
    return TensorSpec(name, np.dtype(np.float32), shape)


def verdicts(findings: Sequence[Finding]) -> list[Verdict]:
    """Of each output."""
    return [finding.verdict for finding in findings]
