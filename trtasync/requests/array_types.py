"""Types of what callers give and get: `infer` is typed by them, and nothing asks them at run time.

How many outputs a model has is not known to a type checker. So the answer to one bare array is
`Array | Any`: it is checked as the array that models of one output give, and what is done with the
dict that others give (`isinstance(answer, dict)`) is not called wrong. Who wants a dict in any case
gives a mapping.
"""

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import numpy as np


class HasArray(Protocol):
    """Arrays and scalars of numpy, tensors in host memory, and whatever else numpy reads."""

    def __array__(self, *args: Any, **kwargs: Any) -> Any: ...


class HasArrayInterface(Protocol):
    """Objects with numpy's older interface, such as images of PIL."""

    @property
    def __array_interface__(self) -> Any: ...


class HasDLPack(Protocol):
    """Tensors of torch, CuPy, JAX and others, in the memory of a device too."""

    def __dlpack__(self, *args: Any, **kwargs: Any) -> Any: ...
    def __dlpack_device__(self, *args: Any, **kwargs: Any) -> Any: ...


class HasCudaArray(Protocol):
    """Arrays in the memory of a GPU that speak Numba's interface."""

    @property
    def __cuda_array_interface__(self) -> Any: ...


GivenArray = HasArray | HasArrayInterface | HasDLPack | HasCudaArray
"""One input: an array on the host or, with the TensorRT backend, on its GPU."""

GivenArrays = Mapping[str, GivenArray] | list[Any] | tuple[Any, ...]
"""All inputs: by name, or in the model's order."""

Given = GivenArray | GivenArrays
"""What `infer` takes."""

Host = Literal["host"]
OnDevice = Literal["device"]
"""Where an answer is wanted."""

Copied = Literal[True]
Lent = Literal[False]
"""Whether an answer is the caller's own (`copy=`)."""


class ArrayOnDevice(HasDLPack, HasCudaArray, Protocol):
    """One output that stays in the memory of a GPU.

    Attributes:
        shape: of the array.
        dtype: numpy's name for its type.
        device: index of the GPU.
        address: of its first byte.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    device: int
    address: int

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any) -> "ArrayOnDevice":
        """One row (`array[3]`) or some (`array[1:3]`): a view."""
