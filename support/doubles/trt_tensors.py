"""Tensors, layers and weights of a network, in the double of `tensorrt`."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from support.doubles.trt_enums import LayerType
from support.doubles.trt_graph import Operation, Shape
from support.doubles.trt_names import DTYPES, DataType, demand

NUMPY = {member: name for name, member in DTYPES.items()}
WEIGHTS = ("float32", "float16", "int8", "int32", "int64", "bool", "uint8")
"""numpy's types of arrays that are taken for weights."""


def numpy_of(dtype: DataType) -> str:
    """numpy's name of a DataType."""
    demand(dtype, DataType)
    return NUMPY[dtype]


class Weights:
    """Values of somebody's array, which is not copied (but kept alive, as in the bindings)."""

    def __init__(self, a: Any):
        if not isinstance(a, np.ndarray) or a.dtype.name not in WEIGHTS:
            raise TypeError(f"incompatible constructor arguments: {a!r}")
        if not a.flags.c_contiguous:
            raise ValueError("the array is not contiguous")
        self._array = a

    @property
    def dtype(self) -> DataType:
        """Of the values."""
        return DTYPES[self._array.dtype.name]

    @property
    def nbytes(self) -> int:
        """Of all values."""
        return int(self._array.nbytes)

    @property
    def size(self) -> int:
        """How many values."""
        return int(self._array.size)

    def numpy(self) -> Any:
        """The array itself."""
        return self._array

    def __len__(self) -> int:
        """How many values."""
        return self.size


def weights_of(value: Any) -> Weights:
    """What pybind11 makes of an argument that is to be weights."""
    try:
        return value if isinstance(value, Weights) else Weights(value)
    except ValueError as error:
        raise TypeError(f"incompatible function arguments: {error}") from error


class ITensor:
    """An input, an output or what lies between two layers."""

    _network: Any
    _number: int
    _name: str
    _given: tuple[Shape, str] | None
    _names: dict[int, str]

    @classmethod
    def _make(cls, network: Any, name: str, given: tuple[Shape, str] | None) -> "ITensor":
        """`given`: shape and numpy dtype; None for what follows from the layers."""
        tensor = cls()
        tensor._network, tensor._name, tensor._given = network, name, given
        tensor._names = {}
        tensor._number = len(network._tensors)
        network._tensors.append(tensor)
        return tensor

    @property
    def name(self) -> str:
        """Unique among inputs and outputs."""
        return self._name

    @name.setter
    def name(self, value: str) -> None:
        if any(tensor._name == value and tensor is not self for tensor in self._network._tensors):
            self._network._refuse(
                "ITensor::setName: Error Code 3: API Usage Error (Failed attempt to rename a "
                f"tensor from {self._name} to {value} as the new name is already in use.)"
            )
            return
        self._name = value

    @property
    def shape(self) -> Shape:
        """-1 where dynamic.

        Raises:
            RuntimeError: the layers before do not fit together.
        """
        shape, _, problem = self._given_or_inferred()
        if problem:
            self._network._refuse(
                f"ITensor::getDimensions: Error Code 4: Shape Error ({self._name}: {problem})"
            )
            raise RuntimeError("the dimensions are not valid")
        return shape

    @property
    def dtype(self) -> DataType:
        """Of its elements."""
        return DTYPES[self._given_or_inferred()[1]]

    def _given_or_inferred(self) -> tuple[Shape, str, str]:
        """(shape, numpy dtype, what does not fit)."""
        found: tuple[Shape, str, str] = (
            (*self._given, "") if self._given else self._network._infer(self)
        )
        return found

    @property
    def is_shape_tensor(self) -> bool:
        """Its values decide on shapes."""
        return self._number in self._network._shape_tensors

    @property
    def is_network_input(self) -> bool:
        """One of the network's inputs."""
        return self in self._network._inputs

    @property
    def is_network_output(self) -> bool:
        """One of the network's outputs."""
        return self in self._network._outputs

    def get_dimension_name(self, index: int) -> str | None:
        """What ONNX calls a dimension."""
        return self._names.get(index) if self._has_dimension(index) else None

    def set_dimension_name(self, index: int, name: str) -> None:
        """Name one."""
        if self._has_dimension(index):
            self._names[index] = name

    def _has_dimension(self, index: int) -> bool:
        known = range(len(self._given_or_inferred()[0]))
        return bool(self._network._is_in("ITensor::getDimensionName", index, known))


class ILayer:
    """One layer."""

    _network: Any
    _operation: Operation
    _type: LayerType
    _name: str

    @classmethod
    def _make(cls, network: Any, type_: LayerType, name: str, operation: Operation) -> Self:
        layer = cls()
        layer._network, layer._type, layer._name = network, type_, name
        layer._operation = operation
        network._layers.append(layer)
        return layer

    @property
    def name(self) -> str:
        """Of the layer."""
        return self._name

    @name.setter
    def name(self, value: str) -> None:
        self._name = value

    @property
    def type(self) -> LayerType:
        """What it does."""
        return self._type

    @property
    def num_inputs(self) -> int:
        """How many there are."""
        return len(self._operation.inputs)

    @property
    def num_outputs(self) -> int:
        """How many there are."""
        return len(self._operation.outputs)

    def get_input(self, index: int) -> ITensor | None:
        """None, with a log line, beyond the last one."""
        return self._tensor("ILayer::getInput", self._operation.inputs, index)

    def get_output(self, index: int) -> ITensor | None:
        """None, with a log line, beyond the last one."""
        return self._tensor("ILayer::getOutput", self._operation.outputs, index)

    def _tensor(self, what: str, numbers: list[int], index: int) -> ITensor | None:
        if not self._network._is_in(what, index, range(len(numbers))):
            return None
        found: ITensor = self._network._tensors[numbers[index]]
        return found


class IShuffleLayer(ILayer):
    """Transposes, then reshapes."""

    @property
    def first_transpose(self) -> Any:
        """A permutation."""
        return self._operation.options["first"]

    @first_transpose.setter
    def first_transpose(self, value: Sequence[int]) -> None:
        self._operation.options["first"] = tuple(value)

    @property
    def reshape_dims(self) -> Any:
        """The new shape; None where an input gives it."""
        return self._operation.options["shape"] if self.num_inputs == 1 else None

    @reshape_dims.setter
    def reshape_dims(self, value: Sequence[int]) -> None:
        self._operation.options["shape"] = tuple(value)

    def set_input(self, index: int, tensor: ITensor) -> None:
        """Input 1 is the new shape, which makes its tensor a shape tensor."""
        self._operation.inputs[index:] = [tensor._number]
        if index == 1:
            self._network._shape_tensors.add(tensor._number)
