"""Proof, from a model's graph, that an output's row depends only on the same row of the inputs.

The rows of every tensor are followed through the graph by one rule per operator. What has no rule,
or whose rule is in doubt, is not proved, which is no claim that its rows are coupled. The guarantee
is the other direction: in what is proved, row i depends on row i of the inputs that have rows and
on shared inputs, but not on other rows, on how many there are, or on i. Lengths are polynomials in
the number of rows and all other free lengths (`sizes`), so the proof holds for every size, not only
for those that somebody tried.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from trtasync.errors import BackendUnavailable
from trtasync.rows.proof import rules
from trtasync.rows.proof.choices import Choices, Effort, Exhausted, followed
from trtasync.rows.proof.operators import dynamic_quantization, random_operators
from trtasync.rows.proof.scopes import MOST_NODES, Names, Scope, add_initializers
from trtasync.rows.proof.sizes import Size, Symbols
from trtasync.rows.proof.tensors import Coupled, NeverComputed, RowLayout, Tensor, Value
from trtasync.rows.proof.walk import Walk

__all__ = ["Proof", "dynamic_quantization", "prove", "random_operators", "rules"]


@dataclass(frozen=True, slots=True)
class Proof:
    """What the graph shows about one output.

    Attributes:
        axis: the axis along which its rows lie, one element each; None if nothing is proved.
        why: a clause that names what stopped the proof; "" if it succeeded.
        mixes: it was stopped because rows are known to meet or to be counted, not because a rule is
            missing.
    """

    axis: int | None
    why: str = ""
    mixes: bool = False


def prove(model: Any, axes: Mapping[str, int | None]) -> dict[str, Proof]:
    """Determine which outputs are row by row, whatever the number of rows.

    Args:
        model: an `onnx.ModelProto`; it may be malformed, and its external weights absent.
        axes: the axis along which rows lie, by input; None for an input that all rows share.

    Raises:
        BackendUnavailable: the `onnx` package is not installed.
    """
    _need_onnx()
    symbols = Symbols()
    names: Names = {}
    add_initializers(model.graph, names)
    for given in model.graph.input:
        if given.name in axes or given.name not in names:
            names[given.name] = _input(given, axes, symbols)
    versions = {each.domain: each.version for each in model.opset_import}
    versions[""] = versions.get("", versions.get("ai.onnx", 1))
    own = {
        ("" if each.domain == "ai.onnx" else each.domain, each.name, each.overload): each
        for each in model.functions
    }
    effort = Effort(MOST_NODES + 2 * len(model.graph.node))
    scope = Scope(names, versions, own, symbols, effort)
    outputs = [output.name for output in model.graph.output]

    def evaluate(choices: Choices) -> list[Value]:
        within = replace(scope, names=dict(names), choices=choices)
        return Walk().nodes(model.graph.node, outputs, within)

    try:
        found = followed(evaluate, symbols, effort)
    except Exhausted:
        found = [Coupled("it takes more effort to follow the rows than is spent")] * len(outputs)
    return {name: _proof(value) for name, value in zip(outputs, found, strict=True)}


def _need_onnx() -> None:
    try:
        import onnx  # noqa: F401  # the walk reads tensors and attributes with it
    except ImportError as error:
        raise BackendUnavailable(
            f"proving a model's rows needs the onnx package: pip install onnx ({error})."
        ) from error


def _input(given: Any, axes: Mapping[str, int | None], symbols: Symbols) -> Value:
    name = f"input {given.name[:100]!r}"
    if given.name not in axes:
        return Coupled(f"of {name} it is not said where its rows lie")
    axis = axes[given.name]
    tensor = given.type.tensor_type
    if given.type.WhichOneof("value") != "tensor_type":
        return Coupled(f"{name} is no tensor")
    if not tensor.HasField("shape"):
        return Tensor(None) if axis is None else Coupled(f"{name} declares no shape")
    # Axes of one name are not assumed to have the same length: runtimes do not enforce it.
    shape = [_length(dim, symbols) for dim in tensor.shape.dim]
    if axis is None:
        return Tensor(tuple(shape))
    if not -len(shape) <= axis < len(shape):
        return Coupled(f"{name} has no axis {axis}")
    axis %= len(shape)
    shape[axis] = symbols.rows
    return Tensor(tuple(shape), RowLayout(axis))


def _length(dim: Any, symbols: Symbols) -> Size:
    if dim.HasField("dim_value") and 0 <= dim.dim_value < 2**31:
        return Size.of(dim.dim_value)
    return symbols.fresh()


def _proof(value: Value) -> Proof:
    if isinstance(value, Coupled):
        return Proof(None, value.why, value.mixes)
    if isinstance(value, NeverComputed):
        return Proof(None, "an operator refuses what it is given")
    if value.counts_rows:
        return Proof(None, "it is the number of rows", True)
    if value.places:
        return Proof(None, "it depends on the places of the rows", True)
    if value.layout is None:
        return Proof(None, "it is the same for all rows")
    if not value.layout.plain:
        return Proof(None, "its rows are merged with another axis")
    return Proof(value.layout.axis)
