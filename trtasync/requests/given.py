"""A caller's inputs, as arrays in the order of the model's inputs: names and dtypes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from trtasync.errors import InvalidInput, TrtasyncError
from trtasync.model.tensors import ModelSpec, TensorSpec
from trtasync.requests.host_arrays import as_host_array, is_on_device

Adopt = Callable[[TensorSpec, Any], Any]
"""From a spec and a value to an object that slots can stage (with shape and dtype), or None."""


def adopt_nothing(spec: TensorSpec, value: Any) -> None:
    """Accept no device arrays: for backends that compute in host memory."""


class GivenReader:
    """Reads the three forms of a request: an array, several in order, several by name."""

    def __init__(self, spec: ModelSpec, adopt: Adopt = adopt_nothing):
        """Store the specs.

        Args:
            spec: the model's inputs and outputs.
            adopt: accepts arrays on a device of the backend.
        """
        self._specs = spec.inputs
        self._is_shared = spec.is_shared
        self._adopt = adopt

    def read(self, inputs: Any) -> tuple[tuple[Any, ...], bool]:
        """Return the arrays, and whether a single one was given.

        Raises:
            InvalidInput: names the input, what was expected and what was given.
        """
        if isinstance(inputs, Mapping):
            return tuple(map(self._as_array, self._specs, self._by_name(inputs))), False
        if isinstance(inputs, (list, tuple)):
            return tuple(map(self._as_array, self._specs, self._in_order(inputs))), False
        return tuple(map(self._as_array, self._specs, self._in_order((inputs,)))), True

    def _as_array(self, spec: TensorSpec, value: Any) -> Any:
        """Convert a value for staging, without any silent cast."""
        if type(value) is np.ndarray:
            return as_host_array(spec, value)
        try:
            taken = None if self._is_shared(spec) else self._adopt(spec, value)
            on_device = taken is None and is_on_device(value)
        except TrtasyncError:
            raise
        except Exception as error:  # the method is foreign code
            raise InvalidInput(
                f"input {spec} got {type(value).__name__}, whose device cannot be determined: "
                f"{error!r}; give a numpy array.",
                name=spec.name,
                got=type(value).__name__,
            ) from error
        if on_device:
            raise InvalidInput(
                f"input {spec} got an array in the memory of a GPU, which is accepted only by the "
                "TensorRT backend, for inputs without padding=; give a host array: x.cpu().numpy() "
                "in torch, x.get() in CuPy.",
                name=spec.name,
                got=type(value).__name__,
            )
        return as_host_array(spec, value) if taken is None else taken

    def _by_name(self, inputs: Mapping[str, Any]) -> list[Any]:
        names = [spec.name for spec in self._specs]
        if len(inputs) != len(names) or any(name not in inputs for name in names):
            raise InvalidInput(
                f"the model's inputs are {names}; got {list(inputs)}. "
                f"Missing: {[name for name in names if name not in inputs]}; "
                f"unknown: {[name for name in inputs if name not in names]}.",
                expected=names,
                got=list(inputs),
            )
        return [inputs[name] for name in names]

    def _in_order(self, inputs: Sequence[Any]) -> Sequence[Any]:
        if len(inputs) != len(self._specs):
            raise InvalidInput(
                f"the model has {len(self._specs)} inputs "
                f"({', '.join(map(str, self._specs))}); got {len(inputs)} values. "
                "Give an array per input in this order, or a mapping by name "
                "(a list is read as one array per input: use np.asarray for numbers).",
                expected=len(self._specs),
                got=len(inputs),
            )
        return inputs
