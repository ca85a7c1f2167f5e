"""What an ONNX file says about itself, read with the `onnx` package, without a GPU."""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trtasync.errors import BackendUnavailable, BuildError, PlanError
from trtasync.model.foreign import HEAD_BYTES, not_onnx
from trtasync.model.outlines import outline
from trtasync.model.tensors import MOST_TENSOR_BYTES, Dim, ModelSpec, TensorSpec
from trtasync.plans.contents import Content
from trtasync.plans.external import external_files

Stamp = tuple[int, int, int]
"""(inode, bytes, time of the last change) of a file."""


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """An ONNX model that has been read.

    Attributes:
        path: the file.
        content: its bytes.
        model: the `onnx.ModelProto` without the numbers of its weights.
        external: the files that hold its other weights, sorted.
        stamps: what identified each of them when the model was read.
    """

    path: Path
    content: Content
    model: Any
    external: tuple[Path, ...]
    stamps: tuple[Stamp, ...]

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files from which it is read."""
        return self.path, *self.external

    def digest(self) -> str:
        """SHA-256 of the file and all its external files, with their names; only if it was read
        with `hashing`."""
        assert self.content.hashed is not None
        total = self.content.hashed.copy()
        for path in self.external:
            total.update(str(path.relative_to(self.path.parent)).encode())
            with _opened(path) as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
        return total.hexdigest()

    def spec(self) -> ModelSpec:
        """Its inputs and outputs, symbolic axes by name.

        Raises:
            PlanError: an input or output is not a tensor of known rank and type.
        """
        graph = self.model.graph
        initialized = {tensor.name for tensor in graph.initializer}
        inputs = [_tensor(value) for value in graph.input if value.name not in initialized]
        return ModelSpec.from_tensors(inputs, [_tensor(value) for value in graph.output])

    def opsets(self) -> dict[str, int]:
        """Domain -> version; the domain of ONNX itself is called "ai.onnx"."""
        return {each.domain or "ai.onnx": each.version for each in self.model.opset_import}

    def operators(self) -> dict[str, int]:
        """Operator -> number of nodes in the graph (subgraphs included), most frequent first."""
        return dict(Counter(node.op_type for node in _nodes(self.model)).most_common())

    def weight_bytes(self) -> int:
        """Bytes of all tensors stored in the model, external ones included."""
        return sum(map(_bytes_of, _tensors(self.model)))

    def changed(self) -> list[str]:
        """External files that have changed since the model was read."""
        return [
            path.name
            for path, stamp in zip(self.external, self.stamps, strict=True)
            if _stamp(path) != stamp
        ]


def read_onnx(path: Path, hashing: bool = False) -> OnnxFile:
    """Read a model, and find the files beside it that hold its weights.

    Args:
        path: the model's path.
        hashing: whether its `digest` will be needed.

    Raises:
        BackendUnavailable: the `onnx` package is not installed.
        BuildError: it is not a file, not ONNX, truncated, or an external file is invalid.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise BackendUnavailable(
            "reading an ONNX model needs the onnx package: pip install 'trtasync[build]' "
            f"({error})."
        ) from error
    try:
        content = Content(path, hashing)
    except OSError as error:
        raise BuildError(f"{path} cannot be read: {error.strerror or error}.") from error
    try:
        model = onnx.load_model_from_string(_outline(content))
    except DecodeError as error:
        raise _not_onnx(path, content, "its encoding is broken") from error
    if not model.graph.node and not model.graph.output:
        raise _not_onnx(path, content, "it holds no graph")
    if _lacks_operator_set(model):
        raise _not_onnx(path, content, "it names no operator set")
    if not all(isinstance(text, str) for text in _texts(model)):
        raise _not_onnx(path, content, "a name in it is not UTF-8")
    external = external_files(path, _tensors(model), _stored_bytes)
    return OnnxFile(path, content, model, external, tuple(map(_stamp, external)))


def _outline(content: Content) -> bytes:
    with content.view() as view:
        try:
            return outline(view)
        except ValueError:  # reading all of it will tell what is wrong
            return view.tobytes()


def _stamp(path: Path) -> Stamp:
    try:
        facts = path.stat()
    except OSError:
        return 0, 0, 0
    return facts.st_ino, facts.st_size, facts.st_mtime_ns


def _lacks_operator_set(model: Any) -> bool:
    """Whether it lacks one; TensorRT's plugins need none for third-party domains."""
    standard = ("", "ai.onnx")
    known = any(each.domain in standard for each in model.opset_import)
    return not known and (
        not model.opset_import or any(node.domain in standard for node in _nodes(model))
    )


def _not_onnx(path: Path, content: Content, why: str) -> BuildError:
    with content.view() as view:
        head = view[:HEAD_BYTES].tobytes()
    return BuildError(not_onnx(str(path), head, why))


def _opened(path: Path) -> Any:
    try:
        return path.open("rb")
    except OSError as error:
        raise BuildError(f"{path} cannot be read: {error.strerror or error}.") from error


def _graphs(model: Any) -> Iterator[Any]:
    """The graph and all its subgraphs, and those within the model's own functions."""
    yield from _with_subgraphs(model.graph)
    for function in model.functions:
        for subgraph in _subgraphs_of(function.node):
            yield from _with_subgraphs(subgraph)


def _with_subgraphs(graph: Any) -> Iterator[Any]:
    yield graph
    for subgraph in _subgraphs_of(graph.node):
        yield from _with_subgraphs(subgraph)


def _subgraphs_of(nodes: Iterable[Any]) -> Iterator[Any]:
    for node in nodes:
        for attribute in node.attribute:
            yield from _subgraphs(attribute)


def _nodes(model: Any) -> Iterator[Any]:
    for each in (*_graphs(model), *model.functions):
        yield from each.node


def _subgraphs(attribute: Any) -> Iterator[Any]:
    if attribute.HasField("g"):
        yield attribute.g
    yield from attribute.graphs


def _tensors(model: Any) -> Iterator[Any]:
    """Every tensor stored in a model, including subgraphs, functions and attributes."""
    for each in _graphs(model):
        yield from each.initializer
    for node in _nodes(model):
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def _texts(model: Any) -> Iterator[Any]:
    """Every name that is read here. Protobuf returns bytes for one that is not UTF-8."""
    yield from (model.producer_name, model.producer_version)
    for opset in model.opset_import:
        yield opset.domain
    for value in (*model.graph.input, *model.graph.output):
        yield value.name
        for dim in value.type.tensor_type.shape.dim:
            yield dim.dim_param
    for node in _nodes(model):
        yield from (node.op_type, node.domain, *node.input, *node.output)
    for tensor in _tensors(model):
        yield tensor.name


def _bytes_of(tensor: Any) -> int:
    if any(length < 0 for length in tensor.dims):
        raise PlanError(f"tensor '{tensor.name}' has a negative length; export the model again.")
    total: int = math.prod(tensor.dims) * _dtype(tensor.name, tensor.data_type).itemsize
    if total >= MOST_TENSOR_BYTES:
        raise PlanError(
            f"tensor '{tensor.name}' claims more bytes than any memory has; export the model again."
        )
    return total


def _stored_bytes(tensor: Any) -> int:
    """The least bytes that a tensor takes in a file: several elements may share a byte."""
    packed = re.search(r"(int|float)[1-7](_|$)", _dtype(tensor.name, tensor.data_type).name)
    return 0 if packed else _bytes_of(tensor)


def _tensor(value: Any) -> TensorSpec:
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        raise PlanError(
            f"'{value.name}' is a {kind or 'value without a type'}; only tensors can be run."
        )
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        raise PlanError(f"tensor '{value.name}' has no shape; run ONNX's shape inference first.")
    dtype = _dtype(value.name, tensor.elem_type)
    return TensorSpec(value.name, dtype, tuple(map(_dim, tensor.shape.dim)))


def _dtype(name: str, number: int) -> np.dtype[Any]:
    from onnx import helper

    try:
        dtype: np.dtype[Any] = np.dtype(helper.tensor_dtype_to_np_dtype(number))
    except KeyError:
        raise PlanError(f"tensor '{name}' has the unknown type {number}.") from None
    return dtype


def _dim(dim: Any) -> Dim:
    if dim.HasField("dim_value"):
        return int(dim.dim_value) if dim.dim_value >= 0 else None  # some exporters write -1
    return dim.dim_param or None
