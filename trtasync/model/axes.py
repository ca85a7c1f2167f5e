"""The axis along which rows lie, as far as a model file's own shapes tell.

What comes out is a guess: names are an exporter's, and nothing holds a file to them. It is checked
with the model itself where requests are to share batches (`trtasync.rows`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Dim = int | str | None
"""One axis of a spec: an int is fixed, a str is a named dynamic axis, None an unnamed one."""

_MADE_UP = re.compile(
    r"""
      | \? | \* | -1 | none | null | unknown | dynamic
      | unk(nown)?(_*\d+)+              # tf2onnx, ONNX Runtime's shape inference
      | (dim|axis)?(_*\d+)+
      | (.*_)?dynamic_axes_\d+          # torch.onnx, axes without names
      | \w*output_dim_\d+              # torch.onnx, inferred: Softmaxoutput_dim_0
      | (p2o\.)?DynamicDimension\.\d+  # paddle2onnx
      | \w+_o\d+__d\d+                 # onnxruntime.tools.symbolic_shape_infer
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""Names that exporters make up where a dimension has none: they say nothing of what is equal."""


def is_anonymous(dim: Dim) -> bool:
    """A dynamic axis without a name that means anything: equal names are no evidence of equal
    lengths, other names none of other ones."""
    return dim is None or (isinstance(dim, str) and _MADE_UP.fullmatch(dim.strip()) is not None)


@dataclass(frozen=True, slots=True)
class Axes:
    """Where rows lie.

    Attributes:
        inputs: per input, the batch axis; None for one that all rows share.
        outputs: per output, the batch axis; None where the file names none.
        fixed: the one number of rows that the model takes, or None.
    """

    inputs: tuple[int | None, ...]
    outputs: tuple[int | None, ...]
    fixed: int | None = None

    @property
    def known(self) -> bool:
        """Some input has rows."""
        return any(axis is not None for axis in self.inputs)


TensorShapes = Sequence[tuple[Dim, ...]]


def guess(
    inputs: TensorShapes, outputs: TensorShapes, said: Mapping[int, int | None] | None = None
) -> Axes:
    """The batch axes that the declared shapes suggest.

    Named axes first (see `_common_symbol`); then axis 0 of every input, if none has a telling name;
    then one fixed number at axis 0 of everything.

    Args:
        inputs: declared shapes; an output's () may also mean that its rank is not known.
        outputs: the same of outputs.
        said: index of an input -> what the user says of it; the others follow its symbol.
    """
    said = said or {}
    shared = {at: axis for at, axis in said.items() if axis is None}
    if shared and len(shared) == len(said):
        return _among_others(inputs, outputs, shared)
    symbol = _symbol_said(inputs, said) if said else _common_symbol(inputs, outputs)
    if symbol is not None or said:
        found = [said.get(at, _axis(shape, symbol)) for at, shape in enumerate(inputs)]
        tails = tuple(_output_axis(shape, symbol) for shape in outputs)
        return Axes(tuple(found), tails, _number_at(inputs, found))
    heads = [shape[0] for shape in inputs if shape]
    if heads and all(is_anonymous(dim) for dim in heads):
        found = [_axis(shape, None) for shape in inputs]
        return Axes(tuple(found), tuple(_output_axis(shape, None) for shape in outputs))
    return _fixed(inputs, outputs)


def _among_others(inputs: TensorShapes, outputs: TensorShapes, shared: Mapping[int, None]) -> Axes:
    """The guess where the user has said of some inputs that they have no rows."""
    others = {at: shape for at, shape in enumerate(inputs) if at not in shared}
    if not others:
        return Axes((None,) * len(inputs), (None,) * len(outputs))
    found = guess(list(others.values()), outputs)
    axes = dict(zip(others, found.inputs, strict=True))
    return Axes(tuple(axes.get(at) for at in range(len(inputs))), found.outputs, found.fixed)


def _symbol_said(inputs: TensorShapes, said: Mapping[int, int | None]) -> str | None:
    """The name of an axis that the user points at."""
    for at, axis in said.items():
        if axis is not None and axis < len(inputs[at]):
            dim = inputs[at][axis]
            if isinstance(dim, str) and not is_anonymous(dim):
                return dim
    return None


def _common_symbol(inputs: TensorShapes, outputs: TensorShapes) -> str | None:
    """The symbol called after a batch, or else that which comes first in an input; of several that
    which most tensors have, once each. None when there is none without contradiction."""
    counts: dict[str, int] = {}
    for shape in (*inputs, *outputs):
        for dim in dict.fromkeys(shape):
            if isinstance(dim, str) and not is_anonymous(dim):
                counts[dim] = counts.get(dim, 0) + 1
    repeated = {dim for shape in (*inputs, *outputs) for dim in shape if shape.count(dim) > 1}
    first = {shape[0] for shape in inputs if shape}
    fit = [
        dim
        for dim in dict.fromkeys(dim for shape in inputs for dim in shape)
        if isinstance(dim, str)
        and dim in counts
        and dim not in repeated
        and (dim in first or "batch" in dim.lower())
    ]
    if not fit:
        return None
    symbol = max(fit, key=lambda dim: ("batch" in dim.lower(), counts[dim], dim in first))
    # an input with another name first has rows of its own, and nothing says which are meant
    rivals = [s for s in inputs if symbol not in s and s and isinstance(s[0], str)]
    return None if any(not is_anonymous(shape[0]) for shape in rivals) else symbol


def _axis(shape: tuple[Dim, ...], symbol: str | None) -> int | None:
    """That of the symbol; of an input without it axis 0 if that is dynamic without a name."""
    if symbol is not None and symbol in shape:
        return shape.index(symbol)
    return 0 if shape and is_anonymous(shape[0]) else None


def _output_axis(shape: tuple[Dim, ...], symbol: str | None) -> int | None:
    """As for an input; an output of unknown rank is taken to have rows first."""
    return _axis(shape, symbol) if shape else 0


def _number_at(inputs: TensorShapes, axes: Sequence[int | None]) -> int | None:
    """The number of rows that an input fixes."""
    dims = (shape[axis] for shape, axis in zip(inputs, axes, strict=True) if axis is not None)
    return next((dim for dim in dims if isinstance(dim, int)), None)


def _fixed(inputs: TensorShapes, outputs: TensorShapes) -> Axes:
    heads = {shape[0] for shape in inputs if shape}
    (number,) = heads if len(heads) == 1 else (None,)
    tails = {shape[0] for shape in outputs if shape}
    if not isinstance(number, int) or number < 1 or tails != {number} or () in inputs:
        return Axes((None,) * len(inputs), (None,) * len(outputs))
    return Axes((0,) * len(inputs), (0,) * len(outputs), number)
