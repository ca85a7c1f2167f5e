"""ONNX Runtime by itself, and what it is asked."""

from pathlib import Path

import numpy as np

from support.helpers import Array


def alone(path: Path, *inputs: Array) -> list[Array]:
    """What ONNX Runtime says to this request by itself."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    return [np.asarray(each) for each in session.run(None, dict(zip(names, inputs, strict=True)))]


def floats(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)
