"""Reading what a caller gave to `infer`: names, dtypes, ranks, every dimension.

Whether a request is acceptable depends on its shapes and dtypes only, so the verdict on a
combination of shapes (a `Form`) is kept: a request of a known form costs one dictionary look-up.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from trtasync.errors import InvalidInput
from trtasync.tensors import Dim, ModelSpec, Pad, TensorSpec

Array = npt.NDArray[Any]
Adopt = Callable[[TensorSpec, Any], Any]
"""From a spec and a value to something that slots can stage (with shape and dtype), or None."""
Shape = tuple[int, ...]

_DLPACK_HOST = (1, 3)
"""`kDLCPU` and `kDLCUDAHost` (pinned host memory) of dlpack.h."""

MAX_FORMS = 4096
"""Forms kept at most; past that they are forgotten and found again: shapes can be endless."""


def nothing(spec: TensorSpec, value: Any) -> None:
    """Take nothing over: for backends whose memory is the host's."""


class Layout:
    """The shape of one row of a batch: what all requests of a group have in common.

    Attributes:
        shapes: per input (shape tensors left out), the (padded) shape of one row, without the batch
            axis.
        fills: per input, (axis within the row, value) where it is padded, else None.
        values: per shape tensor, its values.
    """

    __slots__ = ("fills", "shapes", "values")

    def __init__(
        self,
        shapes: tuple[Shape, ...],
        fills: tuple[tuple[int, float] | None, ...],
        values: tuple[Shape, ...] = (),
    ):
        self.shapes = shapes
        self.fills = fills
        self.values = values

    def __repr__(self) -> str:
        return f"Layout({', '.join(map(str, self.shapes))})"


class Form:
    """All that is known of a request from its shapes.

    Attributes:
        group: what the batching core groups by (made once per layout).
        rows: rows of the batch axis.
        sample: the caller left the batch axis out, so the answer has none either.
        single: the caller gave one array, so a single output comes back as one array.
        cuts: output index -> index into one row that cuts the padding off.
        plain: one row, no batch axis, one array, no cut: an answer is a bare row of the output.
    """

    __slots__ = ("cuts", "group", "plain", "rows", "sample", "single")

    def __init__(
        self, group: Any, rows: int, sample: bool, single: bool, cuts: dict[int, tuple[slice, ...]]
    ):
        self.group = group
        self.rows = rows
        self.sample = sample
        self.single = single
        self.cuts = cuts
        self.plain = sample and single and not cuts


class RequestReader:
    """Checks requests against a model's specs and sorts them into groups of one layout."""

    def __init__(
        self,
        spec: ModelSpec,
        padding: Mapping[str, Pad],
        make_group: Callable[[Layout], Any],
        adopt: Adopt = nothing,
    ):
        """Args:
            spec: the model's inputs and outputs.
            padding: input name -> padding rule.
            make_group: called once per new layout; may raise InvalidInput to refuse it.
            adopt: takes arrays over that lie on a device of the backend.

        Raises:
            InvalidInput: when a padding rule names no dynamic axis of an input.
        """
        self._spec = spec
        self._row_inputs = spec.row_inputs
        self._shape_tensors = [at for at, tensor in enumerate(spec.inputs) if tensor.host]
        self._pads = [_sample_pad(spec, tensor, padding) for tensor in self._row_inputs]
        unknown = set(padding) - {tensor.name for tensor in self._row_inputs}
        if unknown:
            raise InvalidInput(
                f"padding= names {sorted(unknown)}, which are no inputs; "
                f"the inputs are {[tensor.name for tensor in spec.inputs]}."
            )
        self._make_group = make_group
        self._adopt = adopt
        self._groups: dict[Any, Any] = {}
        self.arrays: dict[Shape, Form] = {}
        """Forms of requests that were one bare array, by its shape: the hot path looks here."""
        self._named: dict[Any, Form] = {}
        self.dtype = spec.inputs[0].dtype

    def read(self, inputs: Any) -> tuple[Form, Any]:
        """Check one request.

        Args:
            inputs: an array, a sequence of arrays in input order, or a mapping by input name.

        Returns:
            its form, and its array (a model of one input) or tuple of arrays in input order.

        Raises:
            InvalidInput: naming the input, what was expected and what came.
        """
        single = False
        if isinstance(inputs, Mapping):
            values: Sequence[Any] = self._by_name(inputs)
        elif isinstance(inputs, (list, tuple)):
            values = self._in_order(inputs)
        else:
            single = True
            values = self._in_order((inputs,))
        specs = self._spec.inputs
        arrays = tuple(map(self._as_array, specs, values))
        held: tuple[Shape, ...] = ()
        if self._shape_tensors:
            arrays, held = self._take_shape_tensors(arrays)
        shapes = tuple(array.shape for array in arrays)
        forms: dict[Any, Form] = self.arrays if single else self._named
        key: Any = shapes[0] if single else (shapes, held) if held else shapes
        form = forms.get(key)
        if form is None:
            form = self._new_form(shapes, held, single)
            if len(forms) >= MAX_FORMS:
                self._forget()
            forms[key] = form
        return form, (arrays[0] if len(arrays) == 1 else arrays)

    def _as_array(self, spec: TensorSpec, value: Any) -> Any:
        """The value as it will be staged: never a silent cast."""
        if type(value) is np.ndarray:
            return _as_host_array(spec, value)
        if not spec.host and not any(pad is not None for pad in self._pads):
            taken = self._adopt(spec, value)
            if taken is not None:
                return taken
        if _is_on_device(value):
            raise InvalidInput(
                f"input {spec} got an array in the memory of a GPU, which is taken only by the "
                "TensorRT backend, for inputs without padding=; give a host array: x.cpu().numpy() "
                "in torch, x.get() in CuPy."
            )
        return _as_host_array(spec, value)

    def _take_shape_tensors(
        self, arrays: tuple[Array, ...]
    ) -> tuple[tuple[Array, ...], tuple[Shape, ...]]:
        """(the arrays that rows are staged from, the values of the shape tensors)."""
        values = []
        for at in self._shape_tensors:
            spec, array = self._spec.inputs[at], arrays[at]
            if not _fits(spec, array.shape):
                raise InvalidInput(
                    f"shape tensor {spec} got shape {array.shape}; it has no batch axis, because "
                    "its values apply to the whole batch."
                )
            values.append(tuple(int(value) for value in array.ravel()))
        rest = tuple(array for at, array in enumerate(arrays) if at not in self._shape_tensors)
        return rest, tuple(values)

    def _forget(self) -> None:
        self.arrays.clear()
        self._named.clear()
        self._groups.clear()

    def _by_name(self, inputs: Mapping[str, Any]) -> list[Any]:
        names = [spec.name for spec in self._spec.inputs]
        if len(inputs) != len(names) or any(name not in inputs for name in names):
            raise InvalidInput(
                f"the model's inputs are {names}; got {list(inputs)}. "
                f"Missing: {[name for name in names if name not in inputs]}; "
                f"unknown: {[name for name in inputs if name not in names]}."
            )
        return [inputs[name] for name in names]

    def _in_order(self, inputs: Sequence[Any]) -> Sequence[Any]:
        if len(inputs) != len(self._spec.inputs):
            raise InvalidInput(
                f"the model has {len(self._spec.inputs)} inputs "
                f"({', '.join(map(str, self._spec.inputs))}); got {len(inputs)} values. "
                "Give an array per input in this order, or a mapping by name "
                "(a list is read as one array per input: use np.asarray for numbers)."
            )
        return inputs

    def _new_form(self, shapes: tuple[Shape, ...], held: tuple[Shape, ...], single: bool) -> Form:
        sample, rows = self._rows(shapes)
        strip = self._spec.batched and not sample
        lengths = tuple(shape[1:] for shape in shapes) if strip else shapes
        self._check_dims(lengths)
        padded = tuple(map(_padded, self._row_inputs, lengths, self._pads))
        group = self._groups.get((padded, held))
        if group is None:
            fills = tuple(None if pad is None else (pad.axis, pad.value) for pad in self._pads)
            group = self._make_group(Layout(padded, fills, held))
            self._groups[padded, held] = group
        return Form(group, rows, sample, single, self._cuts(lengths, padded))

    def _rows(self, shapes: tuple[Shape, ...]) -> tuple[bool, int]:
        """(the batch axis was left out, rows), judged by rank."""
        specs = self._row_inputs
        missing = [len(spec.shape) - len(shape) for spec, shape in zip(specs, shapes, strict=True)]
        allowed = (0, 1) if self._spec.batched else (0,)
        for spec, shape, short in zip(specs, shapes, missing, strict=True):
            if short not in allowed:
                raise InvalidInput(f"input {spec} got shape {shape}: {_rank_help(spec, allowed)}")
        if not self._spec.batched:
            return True, 1
        if len(set(missing)) > 1:
            raise InvalidInput(
                f"some inputs came with a batch axis and some without: {_pairs(specs, shapes)}. "
                "Give it to all of them or to none."
            )
        if missing[0]:
            return True, 1
        counts = {shape[0] for shape in shapes}
        if len(counts) > 1 or 0 in counts:
            raise InvalidInput(
                f"the batch axis must be equal in all inputs and at least 1: "
                f"{_pairs(specs, shapes)}."
            )
        return False, counts.pop()

    def _check_dims(self, lengths: tuple[Shape, ...]) -> None:
        named: dict[str, tuple[int, str]] = {}
        for spec, shape in zip(self._row_inputs, lengths, strict=True):
            for axis, (want, got) in enumerate(
                zip(_row_axes(self._spec, spec), shape, strict=True)
            ):
                if isinstance(want, int) and want != got:
                    raise InvalidInput(
                        f"input {spec} got rows of shape {shape}: "
                        f"axis {axis} of a row must be {want}, not {got}."
                    )
                if isinstance(want, str):
                    known, owner = named.setdefault(want, (got, spec.name))
                    if known != got:
                        raise InvalidInput(
                            f"axis '{want}' is {known} in input '{owner}' "
                            f"but {got} in input '{spec.name}'; they must be equal."
                        )

    def _cuts(
        self, lengths: tuple[Shape, ...], padded: tuple[Shape, ...]
    ) -> dict[int, tuple[slice, ...]]:
        cuts: dict[int, list[slice]] = {}
        for spec, true, full, pad in zip(
            self._row_inputs, lengths, padded, self._pads, strict=True
        ):
            if pad is None or true[pad.axis] == full[pad.axis]:
                continue
            for output, axis, length in pad.targets(self._spec, spec, true[pad.axis]):
                index = cuts.setdefault(output, [])
                index.extend(slice(None) for _ in range(axis + 1 - len(index)))
                index[axis] = slice(0, length)
        return {output: tuple(index) for output, index in cuts.items()}


class _SamplePad:
    """A `Pad` with its axes counted within a row (no batch axis) and from the front."""

    __slots__ = ("_name", "_rule", "axis", "value")

    def __init__(self, rule: Pad, axis: int, name: Dim):
        self._rule = rule
        self._name = name
        self.axis = axis
        self.value = rule.value

    def apply(self, spec: TensorSpec, shape: Shape) -> Shape:
        length = self._rule.length(shape[self.axis])
        if length is None:
            raise InvalidInput(
                f"input {spec} got a row of shape {shape}: {shape[self.axis]} is longer than the "
                f"largest padding size, {max(self._rule.sizes or (0,))}."
            )
        return (*shape[: self.axis], length, *shape[self.axis + 1 :])

    def targets(self, model: ModelSpec, spec: TensorSpec, true: int) -> list[tuple[int, int, int]]:
        """(output index, axis within a row, true length) of every output the padding shows in."""
        found = []
        for index, output in enumerate(model.outputs):
            cut = self._rule.outputs.get(output.name)
            if cut is not None:
                axis = cut.axis if cut.axis >= 0 else cut.axis + len(output.shape)
                found.append((index, axis - model.batched, max(0, cut.length(true))))
            elif isinstance(self._name, str):
                axes = _row_axes(model, output)
                found.extend((index, i, true) for i, dim in enumerate(axes) if dim == self._name)
        return found


def _sample_pad(
    model: ModelSpec, spec: TensorSpec, padding: Mapping[str, Pad]
) -> _SamplePad | None:
    rule = padding.get(spec.name)
    if rule is None:
        return None
    rank = len(spec.shape)
    axis = rule.axis if rule.axis >= 0 else rule.axis + rank
    if not model.batched <= axis < rank or isinstance(spec.shape[axis], int):
        raise InvalidInput(f"Pad(axis={rule.axis}) is no dynamic axis of input {spec}.")
    outputs = {output.name: output for output in model.outputs}
    for name, cut in rule.outputs.items():
        if name not in outputs:
            raise InvalidInput(f"Pad(outputs=...) names '{name}'; outputs are {list(outputs)}.")
        rank_out = len(outputs[name].shape)
        if not model.batched <= (cut.axis if cut.axis >= 0 else cut.axis + rank_out) < rank_out:
            raise InvalidInput(f"Cut(axis={cut.axis}) is no axis of a row of {outputs[name]}.")
    return _SamplePad(rule, axis - model.batched, spec.shape[axis])


def _padded(spec: TensorSpec, shape: Shape, pad: _SamplePad | None) -> Shape:
    return shape if pad is None else pad.apply(spec, shape)


def _row_axes(model: ModelSpec, spec: TensorSpec) -> tuple[Dim, ...]:
    return spec.shape[1:] if model.batched else spec.shape


def _is_on_device(value: Any) -> bool:
    if hasattr(value, "__dlpack_device__"):
        kind, _ = value.__dlpack_device__()
        return int(kind) not in _DLPACK_HOST
    return hasattr(value, "__cuda_array_interface__")


def _as_host_array(spec: TensorSpec, value: Any) -> Array:
    """The value as a native-endian array of exactly the spec's dtype; never a silent cast."""
    if type(value) is np.ndarray and value.dtype is spec.dtype:
        return value
    if not (hasattr(value, "__array__") or hasattr(value, "__array_interface__")):
        raise InvalidInput(
            f"input {spec} got {type(value).__name__}; give a numpy array, "
            f"e.g. np.asarray(value, dtype={str(spec.dtype)!r})."
        )
    try:
        array = np.asarray(value)
    except Exception as error:
        raise InvalidInput(
            f"input {spec} got {type(value).__name__}, which cannot be read as a numpy array: "
            f"{error}"
        ) from error
    if array.dtype.newbyteorder("=") != spec.dtype:
        raise InvalidInput(
            f"input {spec} got dtype {array.dtype}; convert it: x.astype({str(spec.dtype)!r})."
        )
    # Other byte orders hold the same numbers; equal types under another name (longlong) share
    # the bytes but not the buffer format, which the memoryview copy compares.
    return array.astype(spec.dtype) if not array.dtype.isnative else array.view(spec.dtype)


def _fits(spec: TensorSpec, shape: Shape) -> bool:
    return len(shape) == len(spec.shape) and all(
        dim == length for dim, length in zip(spec.shape, shape, strict=True) if isinstance(dim, int)
    )


def _rank_help(spec: TensorSpec, allowed: tuple[int, ...]) -> str:
    rank = len(spec.shape)
    if not spec.shape:
        return (
            "only a scalar (shape ()) is taken here. If the model declares no rank for this input, "
            "give it one when exporting: the runtime reports a scalar and an unknown rank alike."
        )
    if len(allowed) == 1:
        return f"rank {rank} is needed (the model has no batch axis)."
    return f"rank {rank} (rows) or rank {rank - 1} (one row, no batch axis) is needed."


def _pairs(specs: Sequence[TensorSpec], shapes: Sequence[Shape]) -> str:
    return ", ".join(f"{spec.name} {shape}" for spec, shape in zip(specs, shapes, strict=True))
