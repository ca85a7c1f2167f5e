"""An ONNX model as a graph: what it proves, and what its operators reveal."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trtasync.rows.proof import Proof, dynamic_quantization, prove, random_operators

MOST_FILE_BYTES = 512 << 20
"""Bytes of an ONNX file up to which it is read a second time for a proof."""


@dataclass(frozen=True, slots=True)
class ModelGraph:
    """What a graph says about a model's rows.

    Attributes:
        random: its operators that draw random numbers.
        quantizing: its operators that scale all rows of a batch by one number taken from it.
    """

    random: tuple[str, ...]
    quantizing: tuple[str, ...]
    _model: Any

    def proofs(self, axes: Mapping[str, int | None]) -> dict[str, Proof]:
        """Map each output to its proof, for rows along these axes of the inputs."""
        return prove(self._model, axes)


def read_graph(model: str | Path | bytes) -> ModelGraph | None:
    """Read an ONNX file, or its bytes.

    None without the `onnx` package, or if the file is very large or not ONNX.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError:
        return None
    size = len(model) if isinstance(model, bytes) else Path(model).stat().st_size
    if size > MOST_FILE_BYTES:
        return None
    try:
        if isinstance(model, bytes):
            read = onnx.load_model_from_string(model)
        else:
            read = onnx.load(model, load_external_data=False)
    except DecodeError:
        return None
    return ModelGraph(tuple(random_operators(read)), tuple(dynamic_quantization(read)), read)
