"""`OnnxParser` in the double of `tensorrt`: reads with the `onnx` package, runs nothing."""

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
STANDARD = ("", "ai.onnx")


class ParserError:
    """One thing that the parser has against a model."""

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
        """What sort of error."""
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

    def get_error(self, index: int) -> ParserError:
        """In order."""
        return self._errors[index]

    def clear_errors(self) -> None:
        """Forget them."""
        self._errors = []

    def parse(self, model: Any, path: str | None = None) -> bool:
        """False, with errors and log lines, when the model is refused. The bytes are copied."""
        self.clear_errors()
        try:
            proto = _read(bytes(memoryview(model)))
            _load_weights(proto, Path(path).parent if path else Path())
            _check_nodes(proto)
            _fill(self._network, proto)
        except _Bad as bad:
            self._errors = list(bad.errors)
            for error in bad.errors:
                self._refuse(f"ModelImporter.cpp: {error.node_operator()}: {error.desc()}")
        return not self._errors


def _bad(code: ErrorCode, words: str) -> _Bad:
    return _Bad(ParserError._make(code, words))


def _read(data: bytes) -> Any:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        proto = onnx.load_model_from_string(data)
    except DecodeError:
        proto = None
    if proto is None or not proto.opset_import or not proto.HasField("graph"):
        raise _bad(ErrorCode.MODEL_DESERIALIZE_FAILED, "Failed to parse the ONNX model.")
    return proto


def _load_weights(proto: Any, folder: Path) -> None:
    from onnx.external_data_helper import load_external_data_for_model

    try:
        load_external_data_for_model(proto, str(folder))
    except Exception as error:  # onnx raises OSError, ValueError or its own, by version
        raise _bad(ErrorCode.INVALID_GRAPH, f"Failed to open the weights: {error}") from error


def _check_nodes(proto: Any) -> None:
    found = [
        ParserError._make(
            ErrorCode.UNSUPPORTED_NODE,
            f"No importer registered for op: {node.op_type}.",
            (index, node.name, node.op_type),
        )
        for index, node in enumerate(proto.graph.node)
        if not _is_supported(node)
    ]
    if found:
        raise _Bad(*found)


def _is_supported(node: Any) -> bool:
    import onnx

    known = node.domain in STANDARD and onnx.defs.has(node.op_type)
    return known and node.op_type not in trt_builds.current().unsupported


def _fill(network: INetworkDefinition, proto: Any) -> None:
    graph = proto.graph
    initialized = {tensor.name for tensor in graph.initializer}
    values = [value for value in graph.input if value.name not in initialized]
    inputs = [_tensor(network, value) for value in values]
    outputs = [_tensor(network, value) for value in _with_ranks(proto)]
    for tensor, value in zip(inputs, values, strict=True):  # of the network's inputs only
        for index, dim in enumerate(value.type.tensor_type.shape.dim):
            if dim.dim_param:
                tensor.set_dimension_name(index, dim.dim_param)
    network._inputs += inputs
    network._outputs += outputs
    network._name = graph.name
    shapes = {
        name
        for node in graph.node
        for i, name in enumerate(node.input)
        if (node.op_type, i) in SHAPE_INPUTS
    }
    network._shape_tensors |= {t._number for t in inputs if t.name in shapes}
    model: bytes = proto.SerializeToString()
    options = {
        "model": model,
        "digest": digest_of(model),
        "inputs": [tensor.name for tensor in inputs],
        "data_dependent": any(node.op_type in DATA_DEPENDENT for node in graph.node),
    }
    numbers = [t._number for t in inputs], [t._number for t in outputs]
    operation = Operation("onnx", *numbers, options)
    network._operations.append(operation)
    for index, node in enumerate(graph.node):
        name = node.name or f"node_of_{node.output[0] if node.output else index}"
        ILayer._make(network, _layer_type(node.op_type), name, operation)


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
    if dtype not in DTYPES:
        raise _bad(
            ErrorCode.UNSUPPORTED_NODE_DATATYPE,
            f"{value.name}: no TensorRT type corresponds to {dtype}",
        )
    shape = tuple(d.dim_value if d.HasField("dim_value") else -1 for d in kind.shape.dim)
    return network._tensor_type._make(network, value.name, (shape, dtype))


def _with_ranks(proto: Any) -> Any:
    """The outputs; TensorRT knows the rank of each, declared or not."""
    from onnx import shape_inference

    if all(value.type.tensor_type.HasField("shape") for value in proto.graph.output):
        return proto.graph.output
    return shape_inference.infer_shapes(proto).graph.output
