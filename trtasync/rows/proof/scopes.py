"""Where a node is evaluated: names, what is known about them, and limits on the effort."""

import math
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from trtasync.rows.proof.calls import MOST_FOLDED
from trtasync.rows.proof.choices import Choices, Effort
from trtasync.rows.proof.sizes import Size, Symbols
from trtasync.rows.proof.tensors import Coupled, NotProved, Tensor, Value

STANDARD: Final = ("", "ai.onnx")
MOST_NODES: Final = 40_000
"""Evaluated in one proof, besides each once: those of loops, functions and ways to go again."""
DEEPEST: Final = 24
"""Graphs within graphs, functions within functions."""

Names = MutableMapping[str, Value | None]


@dataclass(frozen=True, slots=True)
class Scope:
    """The scope in which a node is evaluated.

    Attributes:
        names: what is known about the tensors visible here.
        versions: the versions of the operator sets, by domain.
        attributes: those of the function being called, if any.
        functions: the model's own, by domain, name and overload.
        symbols: those of this proof.
        effort: what may still be spent.
        choices: which way the graph's branches go.
        depth: how many graphs and functions are around it.
    """

    names: Names
    versions: Mapping[str, int]
    functions: Mapping[tuple[str, str, str], Any]
    symbols: Symbols
    effort: Effort
    attributes: Mapping[str, Any] = field(default_factory=dict)
    choices: Choices = field(default_factory=Choices)
    depth: int = 0

    def inner(self, names: Names, **changes: Any) -> "Scope":
        """A scope within this one.

        Raises:
            NotProved: it would be nested too deeply.
        """
        if self.depth >= DEEPEST:
            raise NotProved("is nested too deeply in graphs and functions")
        return replace(self, names=names, depth=self.depth + 1, **changes)

    def value(self, name: str) -> Value | None:
        """What is known about a tensor; None for an input that is left out."""
        if not name:
            return None
        if name not in self.names:
            return Coupled(f"{name!r} is made by no node before it is read")
        return self.names[name]


class Run(Protocol):
    """The walk, as seen by nodes that contain or call other nodes."""

    def graph(self, graph: Any, scope: Scope, inputs: Sequence[Value | None]) -> list[Value]:
        """What is known about the outputs of a subgraph that sees what `scope` sees."""

    def nodes(self, nodes: Sequence[Any], outputs: Sequence[str], scope: Scope) -> list[Value]:
        """What is known about these tensors after these nodes."""


def read_attributes(node: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """A node's attributes; references to its function's attributes are resolved."""
    from onnx import helper

    attributes = {}
    for attribute in node.attribute:
        if attribute.ref_attr_name:
            if attribute.ref_attr_name in given:
                attributes[attribute.name] = given[attribute.ref_attr_name]
        else:
            attributes[attribute.name] = helper.get_attribute_value(attribute)
    return attributes


def add_initializers(graph: Any, names: Names) -> None:
    for tensor in graph.initializer:
        names[tensor.name] = stored(tensor)
    for tensor in graph.sparse_initializer:
        names[tensor.values.name] = Tensor(tuple(Size.of(length) for length in tensor.dims))


def stored(tensor: Any) -> Value:
    """A tensor stored in the file; small ones have known elements if these are in the file."""
    from onnx import TensorProto, numpy_helper

    if any(length < 0 for length in tensor.dims):
        return Coupled(f"{tensor.name!r} is stored with a negative length")
    try:
        shape = tuple(Size.of(length) for length in tensor.dims)
    except ValueError:
        return Coupled(f"{tensor.name!r} is stored with an impossible length")
    count = math.prod(tensor.dims)
    kinds = (
        TensorProto.BOOL,
        TensorProto.FLOAT,
        TensorProto.DOUBLE,
        TensorProto.INT32,
        TensorProto.INT64,
    )
    external = tensor.data_location == TensorProto.EXTERNAL
    if count > MOST_FOLDED or external or tensor.data_type not in kinds:
        return Tensor(shape)
    try:
        return Tensor(shape, values=numpy_helper.to_array(tensor))
    except Exception:
        return Coupled(f"{tensor.name!r} is stored with elements that cannot be read")


def named(node: Any) -> str:
    name = node.name or next((each for each in node.output if each), "")
    domain = "" if node.domain in STANDARD else f"{printable(node.domain)}."
    return f"{domain}{printable(node.op_type)} {name[:100]!r}"


def printable(text: str) -> str:
    return repr(text[:100])[1:-1]
