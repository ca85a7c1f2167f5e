"""Callers' values as host arrays, without silent casts and never in foreign memory."""

from hashlib import blake2b
from typing import Any

import numpy as np

from trtasync.errors import InvalidInput
from trtasync.model.arrays import Array, Shape
from trtasync.model.tensors import TensorSpec

_DLPACK_HOST = (1, 3)
"""`kDLCPU` and `kDLCUDAHost` (pinned host memory) of dlpack.h."""


def fingerprint(array: Array) -> tuple[Shape, bytes]:
    """The key of a shared input: its bytes, or a digest if it is large."""
    data = array.tobytes()
    return array.shape, data if len(data) <= 64 else blake2b(data).digest()


def own(array: Array) -> Array:
    """Make a copy that no caller can write to."""
    copy = np.array(array, order="C")
    copy.flags.writeable = False
    return copy


def is_on_device(value: Any) -> bool:
    if hasattr(value, "__dlpack_device__"):
        kind, _ = value.__dlpack_device__()
        return int(kind) not in _DLPACK_HOST
    return hasattr(value, "__cuda_array_interface__")


def as_host_array(spec: TensorSpec, value: Any) -> Array:
    """Convert to a native-endian array of exactly the spec's dtype, without any silent cast."""
    if type(value) is np.ndarray and value.dtype is spec.dtype:
        return value
    if not (hasattr(value, "__array__") or hasattr(value, "__array_interface__")):
        raise InvalidInput(
            f"input {spec} got {type(value).__name__}; give a numpy array, "
            f"e.g. np.asarray(value, dtype={str(spec.dtype)!r}).",
            name=spec.name,
            expected=str(spec.dtype),
            got=type(value).__name__,
        )
    try:
        array = np.asarray(value)
    except Exception as error:
        raise InvalidInput(
            f"input {spec} got {type(value).__name__}, which cannot be read as a numpy array: "
            f"{error}",
            name=spec.name,
            got=type(value).__name__,
        ) from error
    if array.dtype.newbyteorder("=") != spec.dtype:
        raise InvalidInput(
            f"input {spec} got dtype {array.dtype}; convert it: x.astype({str(spec.dtype)!r}).",
            name=spec.name,
            expected=str(spec.dtype),
            got=str(array.dtype),
        )
    # Other byte orders hold the same numbers; equal types under another name (longlong) share
    # the bytes but not the buffer format, which the memoryview copy compares.
    return array.astype(spec.dtype) if not array.dtype.isnative else array.view(spec.dtype)
