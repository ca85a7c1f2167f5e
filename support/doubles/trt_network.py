"""`INetworkDefinition` of the double of `tensorrt`."""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from support.doubles.trt_enums import (
    ActivationType,
    ElementWiseOperation,
    LayerType,
    MatrixOperation,
)
from support.doubles.trt_graph import Graph, Operation, Shape
from support.doubles.trt_names import DataType, ILogger, Logging, demand, shape_of
from support.doubles.trt_tensors import ILayer, IShuffleLayer, ITensor, numpy_of, weights_of

LayerT = TypeVar("LayerT", bound=ILayer)
ThingT = TypeVar("ThingT")


class INetworkDefinition(Logging):
    """What `define(network)` fills."""

    _tensor_type: type[ITensor] = ITensor
    _strong: bool
    _flags: int
    _inputs: list[ITensor]
    _outputs: list[ITensor]
    _tensors: list[ITensor]
    _layers: list[ILayer]
    _operations: list[Operation]
    _shape_tensors: set[int]
    _name: str

    @classmethod
    def _make(cls, logger: Any, flags: int, strong: bool) -> "INetworkDefinition":
        network = cls()
        network._logger, network._flags, network._strong = logger, flags, strong
        network._inputs, network._outputs, network._tensors = [], [], []
        network._layers, network._operations = [], []
        network._shape_tensors = set()
        network._name = "Unnamed Network 0"
        return network

    @property
    def name(self) -> str:
        """Of the network."""
        return self._name

    @name.setter
    def name(self, value: str) -> None:
        self._name = value

    @property
    def flags(self) -> int:
        """Those it was created with."""
        return self._flags

    @property
    def num_inputs(self) -> int:
        """How many there are."""
        return len(self._inputs)

    @property
    def num_outputs(self) -> int:
        """How many there are."""
        return len(self._outputs)

    @property
    def num_layers(self) -> int:
        """How many there are."""
        return len(self._layers)

    def get_input(self, index: int) -> ITensor | None:
        """In order; None, with a log line, beyond the last one."""
        return self._at("getInput", self._inputs, index)

    def get_output(self, index: int) -> ITensor | None:
        """In order; None, with a log line, beyond the last one."""
        return self._at("getOutput", self._outputs, index)

    def get_layer(self, index: int) -> ILayer | None:
        """In order; None, with a log line, beyond the last one."""
        return self._at("getLayer", self._layers, index)

    def _at(self, what: str, things: Sequence[ThingT], index: int) -> ThingT | None:
        known = self._is_in(f"INetworkDefinition::{what}", index, range(len(things)))
        return things[index] if known else None

    def _is_in(self, what: str, index: int, known: range) -> bool:
        return index in known or self._refuse(
            f"{what}: Error Code 3: API Usage Error (Parameter check failed, condition: (0) <= "
            f"(index) && (index) < ({len(known)}). Invalid index: {index}.)"
        )

    def add_input(self, name: str, dtype: DataType, shape: Sequence[int]) -> ITensor | None:
        """None, with a log line, when the name is taken or the shape is none."""
        dims, kind = shape_of(shape), numpy_of(dtype)
        if any(n < -1 for n in dims):
            self._refuse(
                "INetworkDefinition::addInput: Error Code 3: API Usage Error (Parameter check "
                f"failed, condition: isValidDims(dims, false): {dims})"
            )
            return None
        if name in [tensor.name for tensor in self._tensors]:
            self._refuse(
                f"INetworkDefinition::addInput: Error Code 4: API Usage Error (Input '{name}' "
                "already exists.)"
            )
            return None
        tensor = self._tensor_type._make(self, name, (dims, kind))
        self._inputs.append(tensor)
        return tensor

    def mark_output(self, tensor: ITensor) -> None:
        """One more; a log line, where it is an input or an output already."""
        demand(tensor, ITensor)
        for taken, word in ((self._inputs, "input"), (self._outputs, "output")):
            if tensor in taken:
                self._refuse(
                    "INetworkDefinition::markOutput: Error Code 4: API Usage Error (Failed attempt "
                    f"to set a tensor {tensor.name} as network-level output. It was previously set "
                    f"as a network-level {word}.)"
                )
                return
        self._outputs.append(tensor)

    def unmark_output(self, tensor: ITensor) -> None:
        """One less."""
        self._outputs.remove(tensor)

    def add_identity(self, input: ITensor) -> ILayer | None:
        """What comes in."""
        return self._add(LayerType.IDENTITY, "identity", [input])

    def add_elementwise(
        self, input1: ITensor, input2: ITensor, op: ElementWiseOperation
    ) -> ILayer | None:
        """A sum, say. Types that differ are noted now, and refused by the build."""
        for tensor in (input1, input2):
            demand(tensor, ITensor)
        demand(op, ElementWiseOperation)
        one, other = input1.dtype, input2.dtype
        if self._strong and one is not other:
            self._say(
                f"IElementWiseLayer with inputs {input1.name} and {input2.name}: first input has "
                f"type {one.name} but second input has type {other.name}.",
                ILogger.Severity.WARNING,
            )
        options = {"op": op.name, "strong": self._strong}
        return self._add(LayerType.ELEMENTWISE, "elementwise", [input1, input2], options)

    def add_activation(self, input: ITensor, type: ActivationType) -> ILayer | None:
        """ReLU, say."""
        demand(type, ActivationType)
        return self._add(LayerType.ACTIVATION, "activation", [input], {"type": type.name})

    def add_constant(self, shape: Sequence[int], weights: Any) -> ILayer | None:
        """The array is read when the network is built, and kept alive until then; only then does
        anybody mind how many values it has, if it has any."""
        array = weights_of(weights).numpy()
        if not array.size:
            self._refuse(
                "INetworkDefinition::addConstant: Error Code 3: API Usage Error (Parameter check "
                "failed, condition: ((weights).count > 0) == ((weights).values != nullptr))"
            )
            return None
        options = {"array": array, "shape": shape_of(shape)}
        return self._add(LayerType.CONSTANT, "constant", [], options)

    def add_matrix_multiply(
        self, input0: ITensor, op0: MatrixOperation, input1: ITensor, op1: MatrixOperation
    ) -> ILayer | None:
        """A product."""
        for operation in (op0, op1):
            demand(operation, MatrixOperation)
        options = {"op0": op0.name, "op1": op1.name, "strong": self._strong}
        return self._add(LayerType.MATRIX_MULTIPLY, "matrix_multiply", [input0, input1], options)

    def add_cast(self, input: ITensor, to_type: DataType) -> ILayer | None:
        """To another type."""
        return self._add(LayerType.CAST, "cast", [input], {"to": numpy_of(to_type)})

    def add_shape(self, input: ITensor) -> ILayer | None:
        """As int64."""
        return self._add(LayerType.SHAPE, "shape", [input])

    def add_shuffle(self, input: ITensor) -> IShuffleLayer | None:
        """See `IShuffleLayer`."""
        options = {"first": None, "shape": None}
        return self._add(LayerType.SHUFFLE, "shuffle", [input], options, IShuffleLayer)

    def _add(
        self,
        type_: LayerType,
        kind: str,
        inputs: list[ITensor],
        options: dict[str, Any] | None = None,
        layer: type[LayerT] = ILayer,  # type: ignore[assignment]  # the bound serves
    ) -> LayerT | None:
        for tensor in inputs:
            demand(tensor, ITensor)
            if tensor._network is not self:
                self._refuse(
                    f"INetworkDefinition::add{kind.title().replace('_', '')}: Error Code 3: API "
                    "Usage Error (Parameter check failed, condition: containsTensor(input))"
                )
                return None
        name = f"(Unnamed Layer* {len(self._layers)}) [{type_.name.title()}]"
        output = self._tensor_type._make(self, f"{name}_output", None)
        operation = Operation(kind, [t._number for t in inputs], [output._number], options or {})
        self._operations.append(operation)
        return layer._make(self, type_, name, operation)

    # -- what the parser and the builder ask -------------------------------------------------------

    def _graph(self, outputs: Sequence[ITensor]) -> Graph:
        """What leads to these."""
        wanted = {tensor._number for tensor in outputs}
        operations: list[Operation] = []
        for operation in reversed(self._operations):
            if wanted.intersection(operation.outputs):
                wanted.update(operation.inputs)
                operations.insert(0, operation)
        numbers = [tensor._number for tensor in self._inputs]
        return Graph(numbers, [tensor._number for tensor in outputs], operations)

    def _infer(self, tensor: ITensor) -> tuple[Shape, str, str]:
        """(shape, dtype, what does not fit) of what a layer gives."""
        known = self._reshaped(tensor)
        if known is not None:
            return (*known, "")
        try:
            two, three = (self._graph([tensor])(*self._filled(n))[0] for n in (2, 3))
        except Exception as error:
            return (), self._first_dtype(tensor), str(error)
        if two.ndim != three.ndim:
            return (-1,) * two.ndim, two.dtype.name, ""
        pairs = zip(two.shape, three.shape, strict=True)
        return tuple(a if a == b else -1 for a, b in pairs), two.dtype.name, ""

    def _first_dtype(self, tensor: ITensor) -> str:
        """Of the first thing that goes into the layer that gives a tensor."""
        (layer,) = (each for each in self._operations if tensor._number in each.outputs)
        if layer.inputs:
            return numpy_of(self._tensors[layer.inputs[0]].dtype)
        return str(layer.options["array"].dtype.name)

    def _reshaped(self, tensor: ITensor) -> tuple[Shape, str] | None:
        """Of a shuffle whose shape is an input: nothing is known of it but its rank."""
        for each in self._operations:
            if each.outputs == [tensor._number] and each.kind == "shuffle" and each.inputs[1:]:
                source, shape = (self._tensors[number] for number in each.inputs)
                return (-1,) * shape.shape[0], numpy_of(source.dtype)
        return None

    def _filled(self, size: int) -> list[Any]:
        """Inputs whose dynamic dimensions are `size`; of shape tensors the values are."""
        arrays = []
        for tensor in self._inputs:
            shape, dtype = tensor._given or ((), "float32")
            sizes = [size if n < 0 else n for n in shape]
            arrays.append(np.full(sizes, size if tensor.is_shape_tensor else 0, dtype))
        return arrays
