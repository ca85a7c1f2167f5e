"""Guesses the batch axes from the shapes that a model file declares.

It is only a guess, because names are chosen by exporters and not binding. If requests are to share
batches, it is checked by running the model (`trtasync.rows`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Dim = int | str | None
"""One axis of a spec: an int is fixed, a str is a named dynamic axis, None an unnamed one."""

AxisNames: TypeAlias = Mapping[str, Sequence[Dim]]
"""Tensor name -> its axes as the model file has them: a plan forgets their names."""

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
"""Names that exporters make up for unnamed dimensions, which say nothing about equality."""


def is_anonymous(dim: Dim) -> bool:
    """Whether a dynamic axis has no meaningful name, so that names say nothing about which lengths
    are equal."""
    return dim is None or (isinstance(dim, str) and _MADE_UP.fullmatch(dim.strip()) is not None)


@dataclass(frozen=True, slots=True)
class Axes:
    """The batch axes of a model.

    Attributes:
        inputs: per input, the batch axis; None for an input that all rows share.
        outputs: per output, the batch axis; None if the file names none.
        fixed: the only number of rows that the model accepts, or None.
    """

    inputs: tuple[int | None, ...]
    outputs: tuple[int | None, ...]
    fixed: int | None = None

    @property
    def known(self) -> bool:
        """Whether any input has rows."""
        return any(axis is not None for axis in self.inputs)


TensorShapes = Sequence[tuple[Dim, ...]]


def guess(
    inputs: TensorShapes, outputs: TensorShapes, said: Mapping[int, int | None] | None = None
) -> Axes:
    """Guess the batch axes from the declared shapes.

    Named axes first (see `_common_symbol`); then axis 0 of every input, if none has a meaningful
    name; then one fixed number at axis 0 of everything.

    Args:
        inputs: declared shapes of the inputs.
        outputs: declared shapes of the outputs; () may also mean that the rank is unknown.
        said: index of an input -> the axis given by the user; the others follow its symbol.
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
    """The guess if the user has said that some inputs have no rows."""
    others = {at: shape for at, shape in enumerate(inputs) if at not in shared}
    if not others:
        return Axes((None,) * len(inputs), (None,) * len(outputs))
    found = guess(list(others.values()), outputs)
    axes = dict(zip(others, found.inputs, strict=True))
    return Axes(tuple(axes.get(at) for at in range(len(inputs))), found.outputs, found.fixed)


def _symbol_said(inputs: TensorShapes, said: Mapping[int, int | None]) -> str | None:
    """The name of an axis given by the user."""
    for at, axis in said.items():
        if axis is not None and axis < len(inputs[at]):
            dim = inputs[at][axis]
            if isinstance(dim, str) and not is_anonymous(dim):
                return dim
    return None


def _common_symbol(inputs: TensorShapes, outputs: TensorShapes) -> str | None:
    """The symbol that is named after a batch, or else comes first in an input; among several, the
    one that occurs in the most tensors, once in each. None if every symbol contradicts a shape."""
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
    # another input with another first name has its own rows, and it is unclear which are meant
    rivals = [s for s in inputs if symbol not in s and s and isinstance(s[0], str)]
    return None if any(not is_anonymous(shape[0]) for shape in rivals) else symbol


def _axis(shape: tuple[Dim, ...], symbol: str | None) -> int | None:
    """The axis of the symbol; in an input without it axis 0, if dynamic and unnamed."""
    if symbol is not None and symbol in shape:
        return shape.index(symbol)
    return 0 if shape and is_anonymous(shape[0]) else None


def _output_axis(shape: tuple[Dim, ...], symbol: str | None) -> int | None:
    """As for an input; an output of unknown rank is assumed to have rows first."""
    return _axis(shape, symbol) if shape else 0


def _number_at(inputs: TensorShapes, axes: Sequence[int | None]) -> int | None:
    """The number of rows that is fixed by an input."""
    dims = (shape[axis] for shape, axis in zip(inputs, axes, strict=True) if axis is not None)
    return next((dim for dim in dims if isinstance(dim, int)), None)


def _fixed(inputs: TensorShapes, outputs: TensorShapes) -> Axes:
    heads = {shape[0] for shape in inputs if shape}
    (number,) = heads if len(heads) == 1 else (None,)
    tails = {shape[0] for shape in outputs if shape}
    if not isinstance(number, int) or number < 1 or tails != {number} or () in inputs:
        return Axes((None,) * len(inputs), (None,) * len(outputs))
    return Axes((0,) * len(inputs), (0,) * len(outputs), number)
