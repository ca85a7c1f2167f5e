"""What a session says about its tensors, or why these cannot be batched."""

from typing import Any

import numpy as np

from trtasync.errors import PlanError
from trtasync.model.tensors import Dim, TensorSpec

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(bool)": "bool",
    **{
        f"tensor({kind}{bits})": f"{kind}{bits}"
        for kind in ("int", "uint")
        for bits in (8, 16, 32, 64)
    },
}

_WITHOUT_NUMPY = (
    "tensor(bfloat16",
    "tensor(float8",
    "tensor(float4",
    "tensor(int4",
    "tensor(uint4",
)
"""Numbers all the same."""


def tensor_spec(node: Any, role: str) -> TensorSpec:
    """Return the spec of an input or output of a session.

    Args:
        node: ONNX Runtime's `NodeArg`.
        role: "input" or "output", for the message.

    Raises:
        PlanError: it is not a numeric tensor, or numpy has no dtype for it.
    """
    dtype = _DTYPES.get(node.type)
    if dtype is None and node.type.startswith(_WITHOUT_NUMPY):
        raise PlanError(
            f"{role} '{node.name}' is a {node.type}, which ONNX Runtime does not exchange with "
            "numpy. Cast it inside the model, to float32 or to a whole byte (a Cast node there), "
            "or run the model on TensorRT."
        )
    if dtype is None:
        raise PlanError(
            f"{role} '{node.name}' is a {node.type}; only numeric and bool tensors can be batched "
            "on the CPU backend. Convert it inside the model (a classifier exported by skl2onnx: "
            "zipmap=False), or leave it out of the graph's outputs."
        )
    return TensorSpec(node.name, np.dtype(dtype), tuple(map(_dim, node.shape)))


def _dim(dim: int | str | None) -> Dim:
    """Inferred lengths may be 0 or negative, which means unknown."""
    return None if isinstance(dim, int) and dim <= 0 else dim or None
