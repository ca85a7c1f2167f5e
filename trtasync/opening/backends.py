"""The backends that `backend=` can name, as one table: opening, tuning and checking go by it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from trtasync.runtimes import Backend

BackendName = Literal["auto", "tensorrt", "tensorrt-rtx", "onnxruntime"]
"""What `open_engine` and the commands accept: "auto" and the names in `BACKENDS`."""


Loader = Callable[[Path | bytes, int], Backend]
"""Opens an ONNX model (its path, or its content) that runs on this many threads; 0: all cores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedBackend:
    """What the tools have to know of a backend before they open a model on it.

    Attributes:
        load: opens an ONNX model. None where TensorRT builds a plan from the model first.
        on_cpu: `threads` matters, and streams share the cores.
        has_graphs: it can capture CUDA graphs, so `graphs` matters.
        largest_batch: rows of the largest batch that tuning tries where the model sets no limit.
    """

    load: Loader | None = None
    on_cpu: bool = False
    has_graphs: bool = False
    largest_batch: int = 64


def _load_onnx(model: Path | bytes, threads: int) -> Backend:
    from trtasync.runtimes.onnxruntime import load

    return load(model, threads)


BUILT: Final = NamedBackend(has_graphs=True, largest_batch=128)

BACKENDS: Final[Mapping[str, NamedBackend]] = {
    "tensorrt": BUILT,
    "tensorrt-rtx": BUILT,
    "onnxruntime": NamedBackend(load=_load_onnx, on_cpu=True),
}

UNNAMED: Final = NamedBackend()
"""What is assumed of a backend of the user's own."""
