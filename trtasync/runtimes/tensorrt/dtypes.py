"""Maps TensorRT's data types to numpy's."""

from typing import Any

import numpy as np

from trtasync.errors import BackendUnavailable, PlanError
from trtasync.runtimes.tensorrt.api import TensorRT

_NUMPY = {
    "FLOAT": "float32",
    "HALF": "float16",
    "INT8": "int8",
    "INT32": "int32",
    "INT64": "int64",
    "UINT8": "uint8",
    "BOOL": "bool",
}
_ML_DTYPES = {"BF16": "bfloat16", "FP8": "float8_e4m3fn", "E8M0": "float8_e8m0fnu"}
"""Same memory layout as TensorRT's. INT4 and FP4 have two elements per byte there and one here."""


def numpy_dtype(trt: TensorRT, dtype: Any, tensor: str) -> np.dtype[Any]:
    """The numpy dtype of a tensor.

    Raises:
        PlanError: numpy has no type of this layout (INT4, FP4).
        BackendUnavailable: it needs ml_dtypes, which is not installed.
    """
    for name, known in _NUMPY.items():
        if dtype == getattr(trt.DataType, name, None):
            return np.dtype(known)
    for name, known in _ML_DTYPES.items():
        if dtype == getattr(trt.DataType, name, None):
            return _from_ml_dtypes(known, tensor)
    raise PlanError(
        f"tensor '{tensor}' is {dtype}, which packs two elements into a byte; numpy has no such "
        "type. Cast it inside the network (add_cast) to a type of whole bytes."
    )


def _from_ml_dtypes(name: str, tensor: str) -> np.dtype[Any]:
    try:
        import ml_dtypes
    except ImportError as error:
        raise BackendUnavailable(
            f"tensor '{tensor}' is {name}, for which numpy needs ml_dtypes: pip install ml_dtypes."
        ) from error
    dtype: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
    return dtype
