"""What a model takes and gives: tensor specs, padding rules, the batch axis."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from trtasync.errors import InvalidInput, PlanError

Dim = int | str | None
"""One axis of a spec: an int is fixed, a str is a named dynamic axis, None an unnamed one."""

_MADE_UP: Final = re.compile(
    r"""(
        | \? | \* | -1 | none | null | unknown | dynamic
        | unk__\d+                          # tf2onnx
        | (.*_)?dynamic_axes_\d+            # torch.onnx, axes without names
        | \w*output_dim_\d+                # torch.onnx, inferred: Softmaxoutput_dim_0
        | (p2o\.)?DynamicDimension\.\d+    # paddle2onnx
        | \w+_o\d+__d\d+                   # onnxruntime.tools.symbolic_shape_infer
    )""",
    re.IGNORECASE | re.VERBOSE,
)


def is_anonymous(dim: Dim) -> bool:
    """Whether a dynamic axis has no name, or one that an exporter made up.

    Two axes that share a real name have the same length; of anonymous ones nothing is known.
    """
    return dim is None or (isinstance(dim, str) and _MADE_UP.fullmatch(dim.strip()) is not None)


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output of a model.

    Attributes:
        name: the tensor's name in the model.
        dtype: numpy dtype (native byte order; bfloat16 and fp8 are `ml_dtypes` types).
        shape: the axes, batch axis included: int = fixed, str = named dynamic, None = unnamed.
        host: a shape tensor of TensorRT: small, without a batch axis; its *values* shape the whole
            batch, so only requests with equal ones share a batch.
        batch_axis: the axis along which rows lie. None: the tensor has no rows; such an input is
            shared by all rows of a batch.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[Dim, ...]
    host: bool = False
    batch_axis: int | None = None

    def __post_init__(self) -> None:
        # By its type: numpy's own object of that dtype, which `array.dtype is spec.dtype` finds.
        object.__setattr__(self, "dtype", np.dtype(np.dtype(self.dtype).type))
        object.__setattr__(self, "shape", tuple(self.shape))

    def __str__(self) -> str:
        axes = ", ".join("?" if dim is None else str(dim) for dim in self.shape)
        return f"{self.name}: {self.dtype}[{axes}]"


@dataclass(frozen=True, slots=True)
class Cut:
    """Where padding shows in one output, and how long the true part of it is.

    Attributes:
        axis: the output's axis, counted with the batch axis (negative counts from the end).
        length: from the input's true length to the output's (both in elements of their axis).
    """

    axis: int
    length: Callable[[int], int]


@dataclass(frozen=True, slots=True)
class Pad:
    """Pad one dynamic axis of an input up to a bucket, so that different lengths share a batch.

    Give `multiple_of` or `sizes`. Outputs are cut back to the true length: those whose axis has the
    same name as the padded axis by themselves, others when `outputs` says how, e.g.
    `outputs={"probs": Cut(axis=1, length=lambda width: width - 7)}`.

    Args:
        axis: the input's axis, counted with the batch axis (negative counts from the end); not 0.
        multiple_of: pad to the next multiple of this many elements.
        sizes: pad to the next of these lengths; a longer input is refused.
        value: what the padding holds.
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
        if self.multiple_of is not None and self.multiple_of < 1:
            raise InvalidInput(f"Pad(multiple_of=...) must be at least 1, not {self.multiple_of}.")
        if self.sizes is not None:
            if not self.sizes or min(self.sizes) < 1:
                raise InvalidInput(f"Pad(sizes=...) needs positive lengths, not {self.sizes!r}.")
            object.__setattr__(self, "sizes", tuple(sorted(set(self.sizes))))
        if self.axis == 0:
            raise InvalidInput("Pad(axis=0) is the batch axis; the engine pads that by itself.")

    def length(self, true: int) -> int | None:
        """The padded length for a true length, or None when it is longer than every size."""
        if self.multiple_of is not None:
            return max(1, -(-true // self.multiple_of)) * self.multiple_of
        return next((size for size in self.sizes or () if size >= true), None)


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """The inputs and outputs of a model and what its first axis means.

    Attributes:
        inputs: in the model's order.
        outputs: in the model's order.
        batched: axis 0 of every tensor is the batch axis; otherwise a request runs alone.
        fixed_batch: the one batch size the model accepts, or None when the axis is dynamic.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    batched: bool
    fixed_batch: int | None = None

    @property
    def row_inputs(self) -> tuple[TensorSpec, ...]:
        """The inputs that requests bring rows of: all but shape tensors."""
        return tuple(spec for spec in self.inputs if not spec.host)

    def input_shape(
        self, name: str | None, rows: Any, row_shape: Sequence[Any] | None
    ) -> tuple[TensorSpec, tuple[int, ...]]:
        """The input meant, and the shape of an array for it.

        Args:
            name: of the input; may be None where there is only one.
            rows: of the batch axis; None for one row without it.
            row_shape: without the batch axis; may be None where it is fixed.

        Raises:
            InvalidInput: it is not clear, or not what the model takes.
        """
        spec = self._row_input(name)
        if rows is not None and not self.batched:
            raise InvalidInput("the model has no batch axis; leave rows= out.")
        if rows is not None and (not isinstance(rows, int) or isinstance(rows, bool) or rows < 1):
            raise InvalidInput(f"rows must be a whole number of at least 1, not {rows!r}.")
        axes = spec.shape[1:] if self.batched else spec.shape
        row = _row_shape(spec, axes, row_shape)
        return spec, row if rows is None else (rows, *row)

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
        cls, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]
    ) -> "ModelSpec":
        """Find the batch axis: axis 0 of every tensor, all dynamic or all the same number.

        Outputs of unknown rank (shape ()) are let through and checked when they arrive.

        Raises:
            PlanError: when there is no input or no output.
        """
        if not inputs or not outputs:
            raise PlanError(f"a model needs inputs and outputs; this has {inputs} and {outputs}.")
        heads = [spec.shape[0] if spec.shape else 0 for spec in inputs if not spec.host]
        if not heads:
            return cls(tuple(inputs), tuple(outputs), batched=False)
        tails = [spec.shape[0] for spec in outputs if spec.shape]
        names = {head for head in heads if isinstance(head, str)}
        dynamic = all(not isinstance(head, int) for head in heads) and len(names) <= 1
        if dynamic and not any(isinstance(tail, int) for tail in tails):
            return cls(tuple(inputs), tuple(outputs), batched=True)
        fixed = heads[0]
        if isinstance(fixed, int) and fixed > 0 and {*heads, *tails} == {fixed}:
            return cls(tuple(inputs), tuple(outputs), batched=True, fixed_batch=fixed)
        return cls(tuple(inputs), tuple(outputs), batched=False)


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
        raise InvalidInput(f"input {spec} takes no rows of shape {given!r}.")
    return shape
