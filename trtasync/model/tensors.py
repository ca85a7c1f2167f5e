"""The inputs and outputs of a model: tensor specs, padding rules, the batch axis."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from trtasync.errors import InvalidInput, PlanError
from trtasync.model.axes import Axes, Dim, guess

__all__ = ["Cut", "Dim", "ModelSpec", "Pad", "TensorSpec"]

MOST_AXES = 32
"""Most axes of an array; numpy 2 allows 64."""

MOST_TENSOR_BYTES = 1 << 47
"""Most bytes of an array: what a process can address."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output of a model.

    Attributes:
        name: the tensor's name in the model.
        dtype: numpy dtype (native byte order; bfloat16 and fp8 are `ml_dtypes` types).
        shape: the axes, including the batch axis: int = fixed, str = named dynamic, None = unnamed.
        host: a shape tensor of TensorRT: small, without a batch axis; its *values* determine shapes
            of the whole batch, so only requests with equal values share a batch.
        batch_axis: the axis of the rows. None: the tensor has no rows; such an input is shared by
            all rows of a batch.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[Dim, ...]
    host: bool = False
    batch_axis: int | None = None

    def __post_init__(self) -> None:
        # numpy's own object of that dtype, so that `array.dtype is spec.dtype` holds
        object.__setattr__(self, "dtype", np.dtype(np.dtype(self.dtype).type))
        object.__setattr__(self, "shape", tuple(self.shape))

    def __str__(self) -> str:
        axes = ", ".join("?" if dim is None else str(dim) for dim in self.shape)
        return f"{self.name}: {self.dtype}[{axes}]"

    @property
    def least_bytes(self) -> int:
        """Bytes of the smallest non-empty array of this tensor."""
        return self.dtype.itemsize * math.prod(
            dim for dim in self.shape if isinstance(dim, int) and dim > 0
        )


@dataclass(frozen=True, slots=True)
class Cut:
    """How padding is cut off one output.

    Attributes:
        axis: the output's axis, counting the batch axis (negative counts from the end).
        length: from the input's true length to the output's (both in elements of their axis).
    """

    axis: int
    length: Callable[[int], int]


@dataclass(frozen=True, slots=True)
class Pad:
    """Pad one dynamic axis of an input up to a bucket, so that different lengths share a batch.

    Give `multiple_of` or `sizes`. Outputs are cut back to the true length: automatically if their
    axis has the name and the length of the padded axis, others according to `outputs`,
    e.g. `outputs={"probs": Cut(axis=1, length=lambda width: width - 7)}`. An output with an
    unnamed axis as long as the padded input is refused unless `outputs` says how to cut it.

    Args:
        axis: the input's axis, counting the batch axis (negative counts from the end); not the
            batch axis itself.
        multiple_of: pad to the next multiple of this many elements.
        sizes: pad to the next of these lengths; a longer input is refused.
        value: the value of the padding.
        outputs: output name -> `Cut`, for outputs that do not name the padded axis.

    Raises:
        InvalidInput: on an impossible combination.
    """

    axis: int
    multiple_of: int | None = None
    sizes: Sequence[int] | None = None
    value: float = 0
    outputs: Mapping[str, Cut] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.multiple_of is None) == (self.sizes is None):
            raise InvalidInput("Pad needs exactly one of multiple_of= and sizes=.")
        if not _is_whole(self.axis):
            raise InvalidInput(f"Pad(axis=...) must be a number, not {self.axis!r}.")
        if self.multiple_of is not None and not _is_length(self.multiple_of):
            raise InvalidInput(
                f"Pad(multiple_of=...) must be a number of at least 1, not {self.multiple_of!r}."
            )
        if self.sizes is not None:
            sizes: Any = self.sizes
            if not isinstance(sizes, Sequence) or not sizes or not all(map(_is_length, sizes)):
                raise InvalidInput(
                    f"Pad(sizes=...) must be a list of positive lengths, not {sizes!r}."
                )
            object.__setattr__(self, "sizes", tuple(sorted(set(sizes))))
        cuts: Any = self.outputs
        if not isinstance(cuts, Mapping) or not all(isinstance(cuts[n], Cut) for n in cuts):
            raise InvalidInput(f"Pad(outputs=...) must map output names to Cuts, not {cuts!r}.")

    def length(self, true: int) -> int | None:
        """The padded length for a `true` length; None if that exceeds every size."""
        if self.multiple_of is not None:
            return max(1, -(-true // self.multiple_of)) * self.multiple_of
        return next((size for size in self.sizes or () if size >= true), None)


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """The inputs and outputs of a model, and whether requests may share a batch of it.

    Attributes:
        inputs: in the model's order.
        outputs: in the model's order.
        batched: requests share batches, with rows along their inputs' batch axes. Otherwise each
            request runs alone, with the model's own shapes. If batched and no input has a batch
            axis, axis 0 of every tensor is meant.
        fixed_batch: the only batch size that the model accepts, or None for any.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    batched: bool
    fixed_batch: int | None = None

    def __post_init__(self) -> None:
        if self.batched and not self.has_rows:
            first = tuple(t if t.host else replace(t, batch_axis=0) for t in self.inputs)
            object.__setattr__(self, "inputs", first)
            object.__setattr__(
                self, "outputs", tuple(replace(t, batch_axis=0) for t in self.outputs)
            )

    @property
    def has_rows(self) -> bool:
        """Whether the batch axis is known, so that a request may omit it."""
        return any(spec.batch_axis is not None for spec in self.inputs)

    @property
    def shared_inputs(self) -> tuple[TensorSpec, ...]:
        """The inputs shared by all rows of a batch: requests in which one differs do not meet."""
        return tuple(spec for spec in self.inputs if self.is_shared(spec))

    @property
    def row_inputs(self) -> tuple[TensorSpec, ...]:
        """The inputs that are staged for each request: all others."""
        return tuple(spec for spec in self.inputs if not self.is_shared(spec))

    def is_shared(self, spec: TensorSpec) -> bool:
        """Whether all rows of a batch share this input."""
        return spec.host or (self.batched and spec.batch_axis is None)

    def row_dims(self, spec: TensorSpec) -> tuple[Dim, ...]:
        """The axes of a tensor's row in slots: without the batch axis if requests share batches,
        else all axes."""
        axis = spec.batch_axis
        if not self.batched or axis is None:
            return spec.shape
        return (*spec.shape[:axis], *spec.shape[axis + 1 :])

    def full_axis(self, spec: TensorSpec, within: int) -> int:
        """Convert an axis of a row, as in `row_dims`, to an axis of the whole tensor."""
        axis = spec.batch_axis
        return within + (self.batched and axis is not None and within >= axis)

    def input_shape(
        self, name: str | None, rows: Any, row_shape: Sequence[Any] | None
    ) -> tuple[TensorSpec, tuple[int, ...]]:
        """Return an input, and the shape of an array for it.

        Args:
            name: the name of the input; None if there is only one.
            rows: length of the batch axis; None for one row without it.
            row_shape: without the batch axis; None if it is fixed.

        Raises:
            InvalidInput: the arguments are ambiguous, or do not fit the model.
        """
        spec = self._row_input(name)
        axis = spec.batch_axis
        if rows is not None and axis is None:
            raise InvalidInput(f"input {spec} has no batch axis; leave rows= out.")
        if rows is not None and (not isinstance(rows, int) or isinstance(rows, bool) or rows < 1):
            raise InvalidInput(f"rows must be a whole number of at least 1, not {rows!r}.")
        axes = spec.shape if axis is None else (*spec.shape[:axis], *spec.shape[axis + 1 :])
        row = _row_shape(spec, axes, row_shape)
        return spec, row if rows is None else (*row[:axis], rows, *row[axis:])

    def _row_input(self, name: str | None) -> TensorSpec:
        known = {spec.name: spec for spec in self.row_inputs}
        if name is None and len(known) == 1:
            return next(iter(known.values()))
        if name not in known:
            asked = "say which one (name=)" if name is None else f"{name!r} is none of them"
            raise InvalidInput(f"the model's inputs are {list(known)}; {asked}.")
        return known[name]

    @classmethod
    def from_tensors(
        cls,
        inputs: Sequence[TensorSpec],
        outputs: Sequence[TensorSpec],
        batch_axes: Mapping[str, int | None] | None = None,
    ) -> "ModelSpec":
        """Make a spec from declared shapes (see `axes.guess`): batched if every output has rows.

        Args:
            inputs: as declared in the file.
            outputs: as declared in the file.
            batch_axes: tensor name -> batch axis given by the user, or None for none.

        Raises:
            PlanError: there is no input or no output, or no array can have its shape.
            InvalidInput: `batch_axes` names a tensor or axis that does not exist.
        """
        if not inputs or not outputs:
            raise PlanError(
                f"a model needs inputs and outputs; this one has {len(inputs)} inputs and "
                f"{len(outputs)} outputs."
            )
        if deepest := [spec for spec in (*inputs, *outputs) if len(spec.shape) > MOST_AXES]:
            raise PlanError(
                f"tensor '{deepest[0].name}' has {len(deepest[0].shape)} axes; an array has "
                f"at most {MOST_AXES}. Reshape it inside the model."
            )
        if largest := [
            spec for spec in (*inputs, *outputs) if spec.least_bytes >= MOST_TENSOR_BYTES
        ]:
            raise PlanError(
                f"tensor {largest[0]} has {largest[0].least_bytes} bytes at least, more than any "
                "memory; its shape is damaged. Export the model again."
            )
        said = _read_axes(batch_axes or {}, (*inputs, *outputs))
        rows = [spec for spec in inputs if not spec.host]
        axes = guess(
            [spec.shape for spec in rows],
            [spec.shape for spec in outputs],
            {at: said[spec.name] for at, spec in enumerate(rows) if spec.name in said},
        )
        return cls._with_axes(inputs, outputs, axes, said)

    @classmethod
    def _with_axes(
        cls,
        inputs: Sequence[TensorSpec],
        outputs: Sequence[TensorSpec],
        axes: Axes,
        said: Mapping[str, int | None],
    ) -> "ModelSpec":
        found = iter(axes.inputs)
        taken = [spec if spec.host else replace(spec, batch_axis=next(found)) for spec in inputs]
        given = [
            replace(spec, batch_axis=said.get(spec.name, axis))
            for spec, axis in zip(outputs, axes.outputs, strict=True)
        ]
        batched = axes.known and all(spec.batch_axis is not None for spec in given)
        return cls(tuple(taken), tuple(given), batched, axes.fixed)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_length(value: Any) -> bool:
    return _is_whole(value) and value >= 1


def _read_axes(
    given: Mapping[str, int | None], tensors: Sequence[TensorSpec]
) -> dict[str, int | None]:
    """The user's batch axes, counted from the front."""
    known = {spec.name: spec for spec in tensors}
    read: dict[str, int | None] = {}
    for name, axis in given.items():
        if name not in known:
            raise InvalidInput(
                f"batch_axes names '{name}', which is not a tensor of the model; "
                f"its tensors are {list(known)}."
            )
        rank = len(known[name].shape)
        if axis is not None and not (_is_whole(axis) and -rank <= axis < rank):
            raise InvalidInput(
                f"batch_axes['{name}'] must be an axis of {known[name]} or None, not {axis!r}."
            )
        read[name] = axis if axis is None or axis >= 0 else axis + rank
    return read


def _row_shape(
    spec: TensorSpec, axes: tuple[Dim, ...], given: Sequence[Any] | None
) -> tuple[int, ...]:
    fixed = tuple(dim for dim in axes if isinstance(dim, int))
    if given is None:
        if len(fixed) != len(axes):
            raise InvalidInput(f"input {spec} has dynamic axes; give the shape of a row (shape=).")
        return fixed
    shape = tuple(given)
    whole = all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in shape)
    fits = len(shape) == len(axes) and all(
        not isinstance(dim, int) or dim == length for dim, length in zip(axes, shape, strict=True)
    )
    if not whole or not fits:
        raise InvalidInput(f"input {spec} does not accept rows of shape {given!r}.")
    return shape
