"""Padding rules, checked against their inputs and applied to shapes."""

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trtasync.errors import InferenceError, InvalidInput
from trtasync.model.arrays import Shape
from trtasync.model.axes import is_anonymous
from trtasync.model.tensors import Cut, Dim, ModelSpec, Pad, TensorSpec


@dataclass(frozen=True, slots=True)
class OutputCut:
    """How the padding is cut off one output of a request.

    Attributes:
        output: the name of the output.
        index: the slice to keep: all of the batch, then one per axis of a row; () for no cut.
        padded: (axis of a row, length) of axes that must be as long as the padded input, because
            only their common name relates them.
        suspect: padded lengths that an axis of unknown length must not have.
        fixed: per axis of a row, whether its declared length is fixed; () if that is unknown.
    """

    output: str
    index: tuple[slice, ...]
    padded: tuple[tuple[int, int], ...]
    suspect: tuple[int, ...]
    fixed: tuple[bool, ...]

    def apply(self, rows: Any) -> Any:
        """View the part of an output's rows without padding.

        Raises:
            InferenceError: an axis should be padded by its name but not by its length, or could be
                padded by its length but has no name that tells.
        """
        lengths = rows.shape[1:]
        for axis, length in self.padded:
            if lengths[axis : axis + 1] != (length,):
                raise self._unclear(lengths, length)
        fixed = self.fixed if len(self.fixed) == len(lengths) else (False,) * len(lengths)
        for length, known in zip(lengths, fixed, strict=True):
            if not known and length in self.suspect:
                raise self._unclear(lengths, length)
        return rows[self.index]

    def _unclear(self, lengths: Shape, padded: int) -> InferenceError:
        return InferenceError(
            f"output '{self.output}' has rows of shape {lengths} where the input was padded to "
            f"{padded}: where its true part ends is not known. Say so: "
            f"Pad(..., outputs={{'{self.output}': Cut(axis=..., length=...)}})."
        )


class RowPad:
    """A `Pad` of one input, its axes counted within what slots call a row, from the front."""

    __slots__ = ("_name", "_rule", "axis", "value")

    def __init__(self, rule: Pad, axis: int, name: Dim):
        """Apply a rule to one axis of a row.

        Args:
            rule: as given.
            axis: the padded one, within a row.
            name: of that axis in the model.
        """
        self._rule = rule
        self._name = None if is_anonymous(name) else name
        self.axis: int = axis
        self.value: float = rule.value

    def apply(self, spec: TensorSpec, shape: Shape) -> Shape:
        """The padded shape of a row.

        Raises:
            InvalidInput: the row is longer than the largest size.
        """
        length = self._rule.length(shape[self.axis])
        if length is None:
            raise InvalidInput(
                f"input {spec} got a row of shape {shape}: {shape[self.axis]} is longer than the "
                f"largest padding size, {max(self._rule.sizes or (0,))}.",
                name=spec.name,
                axis=self._rule.axis % len(spec.shape),
                expected=self._rule.sizes,
                got=shape[self.axis],
            )
        return (*shape[: self.axis], length, *shape[self.axis + 1 :])

    def targets(self, model: ModelSpec, true: int) -> list[tuple[int, int, int, bool]]:
        """List where padding shows: (output, axis of a row, true length, known only by name)."""
        found = []
        for index, output in enumerate(model.outputs):
            cut = self._rule.outputs.get(output.name)
            if cut is not None:
                axis = within_row(model, output, cut.axis)
                found.append((index, axis, _cut_length(output, cut, true), False))
            elif self._name is not None:
                dims = model.row_dims(output)
                found += [(index, i, true, True) for i, dim in enumerate(dims) if dim == self._name]
        return found


def _cut_length(output: TensorSpec, cut: Cut, true: int) -> int:
    """Call the user's function and check its result."""
    try:
        return max(0, operator.index(cut.length(true)))
    except Exception as error:
        raise InvalidInput(
            f"Cut(length=...) of output '{output.name}' must give a whole number for {true}, "
            f"but: {error!r}.",
            name=output.name,
        ) from error


def within_row(model: ModelSpec, spec: TensorSpec, axis: int) -> int:
    """Convert an axis of a tensor to an axis of its rows in slots."""
    rank = len(spec.shape)
    axis = axis if axis >= 0 else axis + rank
    dropped = model.batched and spec.batch_axis is not None and axis > spec.batch_axis
    return axis - dropped


def find_cuts(
    model: ModelSpec, pads: Sequence[RowPad | None], true: Sequence[Shape], full: Sequence[Shape]
) -> dict[int, OutputCut]:
    """Return, by output index, how outputs are cut for the given true and padded row shapes."""
    slices: dict[int, list[slice]] = {}
    padded: dict[int, list[tuple[int, int]]] = {}
    lengths: list[int] = []
    for pad, short, long in zip(pads, true, full, strict=True):
        if pad is None or short[pad.axis] == long[pad.axis]:
            continue
        lengths.append(long[pad.axis])
        for output, axis, length, by_name in pad.targets(model, short[pad.axis]):
            index = slices.setdefault(output, [slice(None)])
            index.extend(slice(None) for _ in range(axis + 2 - len(index)))
            index[axis + 1] = slice(0, length)
            if by_name:
                padded.setdefault(output, []).append((axis, long[pad.axis]))
    if not lengths:
        return {}
    return {
        at: OutputCut(
            output.name,
            tuple(slices.get(at, ())),
            tuple(padded.get(at, ())),
            () if at in slices else tuple(lengths),
            tuple(isinstance(dim, int) for dim in model.row_dims(output)) if output.shape else (),
        )
        for at, output in enumerate(model.outputs)
        if at in slices or not _is_fixed(model, output)
    }


def _is_fixed(model: ModelSpec, output: TensorSpec) -> bool:
    """Whether all its rows have one shape, regardless of the padding."""
    return bool(output.shape) and all(isinstance(dim, int) for dim in model.row_dims(output))


def read_padding(model: ModelSpec, padding: Mapping[str, Pad]) -> list[RowPad | None]:
    """Return the rule of every row input, or None.

    Raises:
        InvalidInput: a rule does not name a dynamic axis of an input or output, has a value that
            its input cannot represent, or omits an input that shares the padded axis.
    """
    names = [spec.name for spec in model.row_inputs]
    if unknown := sorted(set(padding) - set(names)):
        raise InvalidInput(
            f"padding= names {unknown}, which are not row inputs; those are {names}."
        )
    pads = [_row_pad(model, spec, padding.get(spec.name)) for spec in model.row_inputs]
    _check_companions(model, padding)
    return pads


def _row_pad(model: ModelSpec, spec: TensorSpec, rule: Pad | None) -> RowPad | None:
    if rule is None:
        return None
    rank = len(spec.shape)
    axis = rule.axis if rule.axis >= 0 else rule.axis + rank
    if not 0 <= axis < rank or isinstance(spec.shape[axis], int):
        raise InvalidInput(f"Pad(axis={rule.axis}) is not a dynamic axis of input {spec}.")
    if axis == spec.batch_axis:
        raise InvalidInput(
            f"Pad(axis={rule.axis}) is the batch axis of input {spec}; the engine pads that itself."
        )
    _check_value(spec, rule.value)
    _check_cuts(model, rule.outputs)
    return RowPad(rule, within_row(model, spec, axis), spec.shape[axis])


def _check_value(spec: TensorSpec, value: object) -> None:
    if not isinstance(value, (int, float, np.number)) or not _holds(spec.dtype, float(value)):
        raise InvalidInput(f"Pad(value={value!r}) cannot be represented by input {spec}.")


def _holds(dtype: np.dtype[Any], value: float) -> bool:
    """Whether a number of this type can represent the value, except for rounding."""
    if dtype.kind == "b":
        return value in (0.0, 1.0)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return value.is_integer() and limits.min <= value <= limits.max
    with np.errstate(over="ignore"):
        held = float(np.asarray(value).astype(dtype))
    return math.isinf(held) == math.isinf(value)


def _check_cuts(model: ModelSpec, cuts: Mapping[str, Cut]) -> None:
    outputs = {output.name: output for output in model.outputs}
    for name, cut in cuts.items():
        if name not in outputs:
            raise InvalidInput(f"Pad(outputs=...) names '{name}'; outputs are {list(outputs)}.")
        output = outputs[name]
        rank = len(output.shape)
        axis = cut.axis if cut.axis >= 0 else cut.axis + rank
        if not 0 <= axis < rank or (model.batched and axis == output.batch_axis):
            raise InvalidInput(f"Cut(axis={cut.axis}) is not an axis of a row of {output}.")


def _check_companions(model: ModelSpec, padding: Mapping[str, Pad]) -> None:
    """Refuse different padding of inputs that share an axis by name: they would not match."""
    rules: dict[str, tuple[str, Pad]] = {}
    for spec in model.row_inputs:
        rule = padding.get(spec.name)
        name = None if rule is None else spec.shape[rule.axis]
        if rule is not None and isinstance(name, str) and not is_anonymous(name):
            other, known = rules.setdefault(name, (spec.name, rule))
            if (known.multiple_of, known.sizes) != (rule.multiple_of, rule.sizes):
                raise InvalidInput(
                    f"inputs '{other}' and '{spec.name}' share axis '{name}' and are padded to "
                    "different lengths; give both the same multiple_of= or sizes=."
                )
    for spec in model.row_inputs:
        for axis, dim in enumerate(spec.shape):
            if dim in rules and spec.name not in padding:
                owner, rule = rules[str(dim)]
                raise InvalidInput(
                    f"input '{spec.name}' shares axis '{dim}' with '{owner}', which is padded; "
                    f"give it a rule too: padding={{'{spec.name}': Pad(axis={axis}, ...)}}."
                )
