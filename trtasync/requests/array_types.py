"""Types of the arguments and results of `infer`, for type checkers only.

A type checker does not know how many outputs a model has. So the answer to one bare array is
`Array | Any`: it is checked as an array, which models with one output return, and code that handles
the dict of other models (`isinstance(answer, dict)`) is accepted. A caller who always wants a dict
passes a mapping.
"""

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import numpy as np


class HasArray(Protocol):
    """Arrays and scalars of numpy, tensors in host memory, and anything else that numpy reads."""

    def __array__(self, *args: Any, **kwargs: Any) -> Any: ...


class HasArrayInterface(Protocol):
    """Objects with numpy's older interface, such as images of PIL."""

    @property
    def __array_interface__(self) -> Any: ...


class HasDLPack(Protocol):
    """Tensors of torch, CuPy, JAX and others, also in the memory of a device."""

    def __dlpack__(self, *args: Any, **kwargs: Any) -> Any: ...
    def __dlpack_device__(self, *args: Any, **kwargs: Any) -> Any: ...


class HasCudaArray(Protocol):
    """Arrays in the memory of a GPU that support Numba's interface."""

    @property
    def __cuda_array_interface__(self) -> Any: ...


GivenArray = HasArray | HasArrayInterface | HasDLPack | HasCudaArray
"""One input: an array on the host or, with the TensorRT backend, on its GPU."""

GivenArrays = Mapping[str, GivenArray] | list[Any] | tuple[Any, ...]
"""All inputs: by name, or in the model's order."""

Given = GivenArray | GivenArrays
"""The inputs of `infer`."""

Host = Literal["host"]
OnDevice = Literal["device"]
"""Where the answer is to be returned."""

Copied = Literal[True]
Lent = Literal[False]
"""Whether the caller gets a copy of the answer (`copy=`)."""


class ArrayOnDevice(HasDLPack, HasCudaArray, Protocol):
    """An output that stays in the memory of a GPU.

    Attributes:
        shape: shape of the array.
        dtype: numpy's name of its type.
        device: index of the GPU.
        address: address of its first byte.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    device: int
    address: int

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any) -> "ArrayOnDevice":
        """View one row (`array[3]`) or several (`array[1:3]`)."""
