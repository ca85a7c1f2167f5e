"""`OnnxParser` in the double of `tensorrt`: reads with the `onnx` package, runs nothing."""

from collections import Counter
from pathlib import Path
from typing import Any

from support.doubles import trt_builds
from support.doubles.trt_enums import ErrorCode, LayerType
from support.doubles.trt_graph import Operation, digest_of
from support.doubles.trt_names import DTYPES, ILogger, Logging, demand
from support.doubles.trt_network import INetworkDefinition
from support.doubles.trt_tensors import ILayer, ITensor

SHAPE_INPUTS = {
    ("Reshape", 1),
    ("Expand", 1),
    ("ConstantOfShape", 0),
    ("Tile", 1),
    ("Slice", 1),
    ("Slice", 2),
    ("Resize", 3),
}
"""(operator, input) that takes a shape: a network input that goes there is a shape tensor."""

DATA_DEPENDENT = {"NonZero", "NonMaxSuppression", "Unique", "Compress"}
NARROWED = {"float64": "float32"}
"""What becomes of types that TensorRT has not, in silence."""


class ParserError:
    """One error that the parser reports about a model."""

    _code: ErrorCode
    _desc: str
    _node: tuple[int, str, str]

    @classmethod
    def _make(
        cls, code: ErrorCode, desc: str, node: tuple[int, str, str] = (-1, "", "")
    ) -> "ParserError":
        error = cls()
        error._code, error._desc, error._node = code, desc, node
        return error

    def code(self) -> ErrorCode:
        """The kind of error."""
        return self._code

    def desc(self) -> str:
        """In words."""
        return self._desc

    def file(self) -> str:
        """Of the parser's own source."""
        return "ModelImporter.cpp"

    def line(self) -> int:
        """Of the parser's own source."""
        return 1

    def func(self) -> str:
        """Of the parser's own source."""
        return "parse"

    def node(self) -> int:
        """Its index; -1 for none."""
        return self._node[0]

    def node_name(self) -> str:
        """As in the model."""
        return self._node[1]

    def node_operator(self) -> str:
        """As in the model."""
        return self._node[2]


class _Bad(Exception):
    """Why a model is refused."""

    def __init__(self, *errors: ParserError):
        super().__init__()
        self.errors = errors


class OnnxParser(Logging):
    """Fills a network from a model."""

    def __init__(self, network: INetworkDefinition, logger: Any):
        demand(network, INetworkDefinition)
        demand(logger, ILogger)
        self._network, self._logger = network, logger
        self._errors: list[ParserError] = []

    @property
    def num_errors(self) -> int:
        """Of the last call."""
        return len(self._errors)

    def get_error(self, index: int) -> ParserError | None:
        """In order; None, with a log line, beyond the last one."""
        if index in range(len(self._errors)):
            return self._errors[index]
        self._refuse(f"vector::_M_range_check: __n (which is {index}) >= {len(self._errors)}")
        return None

    def clear_errors(self) -> None:
        """Forget them."""
        self._errors = []

    def parse(self, model: Any, path: str | None = None) -> bool:
        """False, with errors and log lines, if the model is refused. The bytes are copied."""
        self.clear_errors()
        if self._network.num_layers:
            return self._refuse("Parse was called with a non-empty network definition")
        try:
            proto = _read(bytes(memoryview(model)))
            _load_weights(proto, Path(path).parent if path else Path())
            values = _add_inputs(self._network, proto.graph)
            _check_nodes(proto)
            _fill(self._network, proto, values)
            self._warn(proto.graph)
        except _Bad as bad:
            self._errors = list(bad.errors)
            for error in bad.errors:
                self._refuse(f"ModelImporter.cpp: {error.node_operator()}: {error.desc()}")
        return not self._errors

    def _warn(self, graph: Any) -> None:
        from onnx import TensorProto

        lines = [
            f"Make sure {kind} {value.name} has Int64 binding."
            for kind, values in (("input", graph.input), ("output", graph.output))
            for value in values
            if value.type.tensor_type.elem_type == TensorProto.INT64
        ]
        counts = Counter(node.name for node in graph.node if node.name)
        lines += [f"A node named {name} already exists" for name, n in counts.items() if n > 1]
        for line in lines:
            self._say(line, ILogger.Severity.WARNING)


def _bad(code: ErrorCode, words: str) -> _Bad:
    return _Bad(ParserError._make(code, words))


def _read(data: bytes) -> Any:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        proto = onnx.load_model_from_string(data)
    except DecodeError:
        proto = None
    if proto is None:
        raise _bad(ErrorCode.MODEL_DESERIALIZE_FAILED, "Failed to parse the ONNX model.")
    return proto


def _load_weights(proto: Any, folder: Path) -> None:
    from onnx.external_data_helper import load_external_data_for_model

    try:
        load_external_data_for_model(proto, str(folder))
    except Exception as error:  # onnx raises OSError, ValueError or its own, by version
        raise _bad(ErrorCode.INVALID_GRAPH, f"Failed to open the weights: {error}") from error


def _check_nodes(proto: Any) -> None:
    nodes = list(enumerate(proto.graph.node))
    found = [error for index, node in nodes if (error := _missing_operator(index, node))]
    if found:
        raise _Bad(*found)
    known = {each.name for each in (*proto.graph.input, *proto.graph.initializer)}
    for index, node in nodes:
        if any(name and name not in known for name in node.input):
            raise _Bad(
                _about(ErrorCode.INVALID_GRAPH, "Node input was not registered.", index, node)
            )
        if _lacks_attributes(node):
            raise _Bad(_about(ErrorCode.INVALID_NODE, "Invalid Node", index, node))
        known.update(node.output)
    if any(value.name not in known for value in proto.graph.output):
        raise _bad(ErrorCode.INTERNAL_ERROR, "Trying to access weights or a null tensor!")
    _check_shapes(proto)


def _about(code: ErrorCode, words: str, index: int, node: Any) -> ParserError:
    return ParserError._make(code, words, (index, node.name, node.op_type))


def _missing_operator(index: int, node: Any) -> ParserError | None:
    """The domain is not looked at."""
    import onnx

    if not onnx.defs.has(node.op_type):
        words = (
            'creator && "Plugin not found, are the plugin name, version, and namespace correct?"'
        )
        return _about(ErrorCode.INVALID_NODE, words, index, node)
    if node.op_type in trt_builds.current().unsupported:
        return _about(ErrorCode.UNSUPPORTED_NODE, "false", index, node)  # it says no more
    return None


def _lacks_attributes(node: Any) -> bool:
    import onnx

    attributes = onnx.defs.get_schema(node.op_type).attributes.values()
    given = {each.name for each in node.attribute}
    return any(each.required and each.name not in given for each in attributes)


def _check_shapes(proto: Any) -> None:
    """The parser knows all shapes, and finds the node whose inputs do not fit."""
    from onnx import shape_inference

    try:
        shape_inference.infer_shapes(proto, strict_mode=True)
    except shape_inference.InferenceError as error:
        for index, node in enumerate(proto.graph.node):
            if f"(op_type:{node.op_type}, node name: {node.name})" in str(error):
                words = str(error).splitlines()[0]
                raise _Bad(_about(ErrorCode.INVALID_NODE, words, index, node)) from error


def _add_inputs(network: INetworkDefinition, graph: Any) -> dict[str, ITensor]:
    """The network's new inputs, by their names in the model: one that is an output of it as well
    is called otherwise."""
    initialized = {tensor.name for tensor in graph.initializer}
    values = {value.name: value for value in graph.input if value.name not in initialized}
    inputs = {name: _tensor(network, value) for name, value in values.items()}
    for name, tensor in inputs.items():
        if name in [value.name for value in graph.output]:
            tensor.name = f"__{name}"
        for index, dim in enumerate(values[name].type.tensor_type.shape.dim):
            if dim.dim_param:
                tensor.set_dimension_name(index, dim.dim_param)
    network._inputs += inputs.values()
    return inputs


def _fill(network: INetworkDefinition, proto: Any, named: dict[str, ITensor]) -> None:
    graph, inputs = proto.graph, list(named.values())
    outputs = [_tensor(network, value) for value in _with_ranks(proto)]
    network._outputs += outputs
    shapes = {
        name
        for node in graph.node
        for i, name in enumerate(node.input)
        if (node.op_type, i) in SHAPE_INPUTS
    }
    network._shape_tensors |= {t._number for name, t in named.items() if name in shapes}
    used = _names_used(graph)
    model: bytes = proto.SerializeToString()
    options = {
        "model": model,
        "digest": digest_of(model),
        "inputs": list(named),
        "unused": [tensor._number for name, tensor in named.items() if name not in used],
        "data_dependent": any(node.op_type in DATA_DEPENDENT for node in graph.node),
    }
    numbers = [t._number for t in inputs], [t._number for t in outputs]
    operation = Operation("onnx", *numbers, options)
    network._operations.append(operation)
    for index, node in enumerate(graph.node):
        name = node.name or f"node_of_{node.output[0] if node.output else index}"
        ILayer._make(network, _layer_type(node.op_type), name, operation)


def _names_used(graph: Any) -> set[str]:
    """By nodes, those of branches and loops too, and by outputs."""
    names = {value.name for value in graph.output}
    for node in graph.node:
        names.update(node.input)
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                names |= _names_used(inner)
    return names


def _layer_type(operator: str) -> LayerType:
    kinds = {"Relu": LayerType.ACTIVATION, "MatMul": LayerType.MATRIX_MULTIPLY}
    return kinds.get(operator, LayerType.ELEMENTWISE)


def _tensor(network: INetworkDefinition, value: Any) -> ITensor:
    from onnx import helper

    kind = value.type.tensor_type
    try:
        dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type).name
    except KeyError:
        dtype = "unknown"
    dtype = NARROWED.get(dtype, dtype)
    if dtype not in DTYPES:
        raise _bad(
            ErrorCode.UNSUPPORTED_NODE,
            f"{value.name}: Failed to convert ONNX data type to TensorRT data type ({dtype})",
        )
    shape = tuple(d.dim_value if d.HasField("dim_value") else -1 for d in kind.shape.dim)
    return network._tensor_type._make(network, value.name, (shape, dtype))


def _with_ranks(proto: Any) -> Any:
    """The outputs; TensorRT knows the rank of each, declared or not."""
    from onnx import shape_inference

    if all(value.type.tensor_type.HasField("shape") for value in proto.graph.output):
        return proto.graph.output
    return shape_inference.infer_shapes(proto).graph.output
