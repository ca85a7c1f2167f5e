"""DLPack: the structure behind the capsules in which libraries exchange arrays.

Layout and rules are those of `dlpack.h` version 0.8 and of the Python specification (a capsule is
named "dltensor" until its consumer takes it over; a consumer that keeps the capsule itself need
not).
"""

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

CUDA, CUDA_MANAGED = 2, 13
"""`kDLCUDA` and `kDLCUDAManaged`."""

_CODES = {"i": 0, "u": 1, "f": 2, "b": 6}
_ML_CODES = {"bfloat16": 4, "float8_e4m3fn": 10, "float8_e8m0fnu": 14}


class _Device(ctypes.Structure):
    _fields_ = (("kind", ctypes.c_int32), ("index", ctypes.c_int32))


class _DataType(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16))


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", _Device),
        ("ndim", ctypes.c_int32),
        ("dtype", _DataType),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class _Managed(ctypes.Structure):
    _fields_ = (
        ("tensor", _Tensor),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
    )


_NAME = b"dltensor"
_api = ctypes.pythonapi
# by address, because a capsule that is being destroyed must not be given a new reference
_pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", _api)
)
_is_valid = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)(
    ("PyCapsule_IsValid", _api)
)
_Destructor = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)
_Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_new = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, _Destructor)(
    ("PyCapsule_New", _api)
)


def dtype_code(dtype: np.dtype[Any]) -> tuple[int, int]:
    """(code, bits) of a numpy dtype."""
    code = _ML_CODES.get(dtype.name)
    return (_CODES[dtype.kind] if code is None else code), 8 * dtype.itemsize


def read(capsule: Any) -> tuple[int, tuple[int, ...], tuple[int, ...] | None, tuple[int, int], int]:
    """Read (address, shape, strides in elements or None, (code, bits), device index) of a capsule.

    The memory lives as long as the capsule, which must be kept.
    """
    tensor = _Managed.from_address(_pointer_of(id(capsule), _NAME)).tensor
    rank = tensor.ndim
    shape = tuple(tensor.shape[axis] for axis in range(rank))
    strides = tuple(tensor.strides[axis] for axis in range(rank)) if tensor.strides else None
    code = (tensor.dtype.code, tensor.dtype.bits * tensor.dtype.lanes)
    return (tensor.data or 0) + tensor.byte_offset, shape, strides, code, tensor.device.index


_exports: dict[int, tuple[Any, ...]] = {}
"""By address: what each consumer's memory needs. Single dictionary operations need no lock."""


def _forget(managed: int, exports: dict[int, tuple[Any, ...]] = _exports) -> None:
    exports.pop(managed, None)


def _destroyed(
    capsule: int,
    name: bytes = _NAME,
    is_valid: Any = _is_valid,
    pointer_of: Any = _pointer_of,
    forget: Any = _forget,
) -> None:
    if is_valid(capsule, name):  # nobody took it over
        forget(pointer_of(capsule, name))


_delete = _Deleter(_forget)
_destroy = _Destructor(_destroyed)

# Consumers may release arrays during interpreter shutdown, when this module is gone: what they call
# then must still exist, so it is never freed, and finds all it needs in its defaults.
for _immortal in (_exports, _forget, _destroyed, _delete, _destroy):
    _api.Py_IncRef(ctypes.py_object(_immortal))


def export(
    address: int, shape: Sequence[int], dtype: np.dtype[Any], device: int, owner: object
) -> Any:
    """Make a capsule for GPU memory; `owner` is kept alive until the consumer is done with it."""
    rank = len(shape)
    sizes = (ctypes.c_int64 * max(1, rank))(*shape)
    code, bits = dtype_code(dtype)
    managed = _Managed()
    managed.tensor.data = address
    managed.tensor.device = _Device(CUDA, device)
    managed.tensor.ndim = rank
    managed.tensor.dtype = _DataType(code, bits, 1)
    managed.tensor.shape = ctypes.cast(sizes, ctypes.POINTER(ctypes.c_int64))
    managed.tensor.strides = None  # row-major
    managed.deleter = ctypes.cast(_delete, ctypes.c_void_p).value
    at = ctypes.addressof(managed)
    _exports[at] = (managed, sizes, owner)
    return _new(at, _NAME, _destroy)
