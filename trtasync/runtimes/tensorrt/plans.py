"""What an engine says about its plan: tensors, profiles, and which batches they allow."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from trtasync.errors import PlanError
from trtasync.model.arrays import Shape
from trtasync.model.axes import AxisNames, Dim
from trtasync.model.profiles import Shapes
from trtasync.model.tensors import ModelSpec, TensorSpec
from trtasync.requests.signature import Layout
from trtasync.runtimes.tensorrt.api import CudaEngine, Dims
from trtasync.runtimes.tensorrt.batch_ranges import BatchRange, merged
from trtasync.runtimes.tensorrt.dtypes import numpy_dtype
from trtasync.runtimes.tensorrt.library import Library

log: logging.Logger = logging.getLogger("trtasync")

LINEAR = "kLINEAR"
"""In the description of a plain row-major format; the lean runtime has no TensorFormat."""

SEVERAL = 3
"""Batch sizes that tell how a model goes on: one row, some, some more."""

Box = tuple[tuple[int, int], ...]
"""The smallest and the largest number on every axis of a row, of all inputs in order."""


@dataclass(frozen=True, slots=True)
class PlanProfile:
    """One optimization profile of a plan.

    Attributes:
        index: its number in TensorRT.
        ranges: per input, in order: of its shape, or of its values (shape tensors).
        batches: rows of the smallest and the largest batch; None if nothing is batched.
    """

    index: int
    ranges: tuple[Shapes, ...]
    batches: BatchRange | None

    @property
    def width(self) -> int:
        """How many batch sizes it allows; 0 if nothing is batched."""
        return 0 if self.batches is None else max(0, self.batches[1] - self.batches[0] + 1)

    def takes(self, rows: int) -> bool:
        """Whether it allows batches of this many rows."""
        return self.batches is None or self.batches[0] <= rows <= self.batches[1]

    def allows(self, numbers: Sequence[Shape]) -> bool:
        """Whether it allows `numbers`: per input its shape, or its values (shape tensors)."""
        return all(range_.allows(shape) for range_, shape in zip(self.ranges, numbers, strict=True))

    def distance(self, numbers: Sequence[Shape]) -> int:
        """See `Shapes.distance`."""
        return sum(
            range_.distance(shape) for range_, shape in zip(self.ranges, numbers, strict=True)
        )


@dataclass(frozen=True, slots=True)
class PlanSpec:
    """What every engine of a plan has in common, whatever its device.

    Attributes:
        spec: inputs (shape tensors are marked `host`) and outputs.
        profiles: by index.
        aliases: output name -> the input whose memory it shares.
        batches: sizes that some profile allows; () when nothing is batched.
    """

    spec: ModelSpec
    profiles: tuple[PlanProfile, ...]
    aliases: dict[str, str]
    batches: tuple[BatchRange, ...]

    @classmethod
    def of(
        cls, spec: ModelSpec, ranges: Iterable[tuple[Shapes, ...]], aliases: dict[str, str]
    ) -> "PlanSpec":
        """Derive the plan's batches from where the rows of its inputs lie.

        Args:
            spec: with batch axes.
            ranges: of each profile, per input.
            aliases: output name -> input name.

        Raises:
            PlanError: no profile allows the same number of rows for all inputs.
        """
        profiles = tuple(
            PlanProfile(index, each, _batches(spec, each)) for index, each in enumerate(ranges)
        )
        batches = merged(profile.batches for profile in profiles if profile.batches is not None)
        if spec.batched and not batches:
            raise PlanError(
                "no optimization profile of the plan allows the same number of rows for all "
                f"inputs: {[[str(each) for each in profile.ranges] for profile in profiles]}. "
                "Open it with batching=False, or build it with the same range for all of them."
            )
        return cls(spec, profiles, aliases, batches)

    def with_spec(self, spec: ModelSpec) -> "PlanSpec":
        """The same plan, with other findings about its rows.

        Raises:
            PlanError: see `of`.
        """
        return self.of(spec, [profile.ranges for profile in self.profiles], self.aliases)

    @property
    def largest_batch(self) -> int | None:
        """The most rows that some profile allows; None if nothing is batched."""
        return self.batches[-1][1] if self.batches else None

    @property
    def is_fixed(self) -> bool:
        """Whether it runs in one shape only (and with one value of every shape tensor)."""
        return len(self.profiles) == 1 and all(
            range_.min == range_.max for range_ in self.profiles[0].ranges
        )

    @property
    def is_plain(self) -> bool:
        """Whether rows come first in every tensor in device memory, as in slots."""
        tensors = [*(each for each in self.spec.inputs if not each.host), *self.spec.outputs]
        return not self.spec.batched or all(each.batch_axis == 0 for each in tensors)

    def numbers(self, layout: Layout, rows: int) -> tuple[Shape, ...]:
        """Per input, what profiles limit (shape or values), for a batch of `rows` rows of a
        layout."""
        shapes, values, shared = iter(layout.shapes), iter(layout.values), iter(layout.shared)
        return tuple(
            next(values)
            if spec.host
            else next(shared).shape
            if self.spec.is_shared(spec)
            else self.with_rows(spec, next(shapes), rows)
            for spec in self.spec.inputs
        )

    def with_rows(self, spec: TensorSpec, row: Shape, rows: int) -> Shape:
        """The shape of a tensor with this many rows of a given shape."""
        axis = spec.batch_axis
        if axis is None or not self.spec.batched:
            return row
        return (*row[:axis], rows, *row[axis:])

    def row_of(self, spec: TensorSpec, shape: Shape) -> Shape:
        """The shape of one row of a tensor: the inverse of `with_rows`."""
        axis = spec.batch_axis
        if axis is None or not self.spec.batched:
            return shape
        return (*shape[:axis], *shape[axis + 1 :])

    def reached(self, batch_sizes: Sequence[int]) -> list[PlanProfile]:
        """The profiles on which a batch of one of these sizes may run."""
        return [
            profile for profile in self.profiles if any(profile.takes(size) for size in batch_sizes)
        ]

    def has_rows_for(self, batch_sizes: Sequence[int]) -> bool:
        """Whether some row shape (and values) runs in batches of every one of these sizes."""
        common: set[Box] = {()}
        for size in batch_sizes:
            boxes = [self._rows_of(profile) for profile in self.reached((size,))]
            met = (_intersection(box, other) for box in common for other in boxes)
            common = {box for box in met if box is not None}
        return bool(common)

    def _rows_of(self, profile: PlanProfile) -> Box:
        return tuple(
            pair
            for spec, range_ in zip(self.spec.inputs, profile.ranges, strict=True)
            for pair in zip(
                self.row_of(spec, range_.min), self.row_of(spec, range_.max), strict=True
            )
        )

    @property
    def tuned(self) -> PlanProfile:
        """The profile whose optimum represents all rows: the smallest in which batches of several
        sizes can be tried, else the one that allows the most sizes."""
        enough = [profile for profile in self.profiles if profile.width >= SEVERAL]
        if enough:
            return min(enough, key=lambda profile: profile.batches or ())
        return max(self.profiles, key=lambda profile: profile.width)

    def sizes_when_tuned(self) -> list[int]:
        """The batch sizes in which rows of the shape that `tuned` was tuned for run; from its own
        profile alone if that suffices."""
        tuned = self.tuned
        best = [
            number
            for spec, range_ in zip(self.spec.inputs, tuned.ranges, strict=True)
            for number in self.row_of(spec, range_.opt)
        ]
        fitting = [
            profile
            for profile in ([tuned] if tuned.width >= SEVERAL else self.profiles)
            if all(
                low <= number <= high
                for number, (low, high) in zip(best, self._rows_of(profile), strict=True)
            )
        ]
        ranges = merged(profile.batches for profile in fitting if profile.batches is not None)
        return [size for low, high in ranges for size in range(low, high + 1)]

    def resized(self, numbers: Sequence[Shape], rows: int) -> tuple[Shape, ...]:
        """The same shapes (and values) with another number of rows."""
        return tuple(
            self.with_rows(spec, self.row_of(spec, shape), rows)
            for spec, shape in zip(self.spec.inputs, numbers, strict=True)
        )

    def profile_for(self, numbers: Sequence[Shape]) -> PlanProfile | None:
        """The matching profile that was tuned for the nearest shape, or None."""
        fitting = [profile for profile in self.profiles if profile.allows(numbers)]
        return min(fitting, key=lambda profile: profile.distance(numbers)) if fitting else None


def _intersection(one: Box, other: Box) -> Box | None:
    """Intersect ranges; () means everything."""
    if not one or not other:
        return one or other
    box = tuple((max(a, c), min(b, d)) for (a, b), (c, d) in zip(one, other, strict=True))
    return box if all(low <= high for low, high in box) else None


def _batches(spec: ModelSpec, ranges: Sequence[Shapes]) -> BatchRange | None:
    """The numbers of rows that all inputs of a profile allow, possibly none."""
    if not spec.batched:
        return None
    heads = [
        (range_.min[tensor.batch_axis], range_.max[tensor.batch_axis])
        for tensor, range_ in zip(spec.inputs, ranges, strict=True)
        if tensor.batch_axis is not None
    ]
    return max(low for low, _ in heads), min(high for _, high in heads)


def read_plan(lib: Library, engine: CudaEngine, axes: AxisNames | None = None) -> PlanSpec:
    """Specs, profiles and batch axes of an engine.

    Args:
        lib: TensorRT.
        engine: made from the plan.
        axes: what the model file called the axes, as far as known.

    Raises:
        PlanError: it has tensors that cannot be staged or batched.
    """
    trt = lib.trt
    known = axes or {}
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    tensors = {name: _spec(lib, engine, name, known.get(name, ())) for name in names}
    modes = {name: engine.get_tensor_mode(name) for name in names}
    inputs = [tensors[name] for name in names if modes[name] == trt.TensorIOMode.INPUT]
    outputs = [tensors[name] for name in names if modes[name] == trt.TensorIOMode.OUTPUT]
    for output in outputs:
        if output.host:
            raise PlanError(
                f"output '{output.name}' is a shape tensor in host memory, which belongs to the "
                "whole batch, not to a request; leave it out of the network's outputs."
            )
    ranges = [
        tuple(_range(engine, tensor, index) for tensor in inputs)
        for index in range(engine.num_optimization_profiles)
    ]
    spec, aliases = _model_spec(inputs, outputs), _aliases(engine, outputs)
    try:
        return PlanSpec.of(spec, ranges, aliases)
    except PlanError as error:  # what was taken for a batch axis is not one
        log.info("%s", error)
        return PlanSpec.of(replace(spec, batched=False), ranges, aliases)


def _spec(lib: Library, engine: CudaEngine, name: str, axes: Sequence[Dim]) -> TensorSpec:
    description = engine.get_tensor_format_desc(name)
    if LINEAR not in description:
        raise PlanError(
            f"tensor '{name}' has the format {description!r}; only linear (row-major) inputs and "
            "outputs can be batched. Build the plan without reformatted I/O (allowed_formats)."
        )
    dtype = numpy_dtype(lib.trt, engine.get_tensor_dtype(name), name)
    dims = as_tuple(engine.get_tensor_shape(name))
    called = axes if len(axes) == len(dims) else [None] * len(dims)
    shape = tuple(
        dim if dim >= 0 else word if isinstance(word, str) else None
        for dim, word in zip(dims, called, strict=True)
    )
    host = engine.get_tensor_location(name) == lib.trt.TensorLocation.HOST
    return TensorSpec(name, dtype, shape, host=host)


def as_tuple(dims: Dims) -> Shape:
    """A shape as Python ints. `Dims` themselves are slow and cannot be compared."""
    return tuple(int(dim) for dim in dims)


def _model_spec(inputs: list[TensorSpec], outputs: list[TensorSpec]) -> ModelSpec:
    spec = ModelSpec.from_tensors(inputs, outputs)
    if all(output.shape for output in outputs):
        return spec
    # what has no axis here is a scalar, not a tensor of unknown rank
    given = tuple(out if out.shape else replace(out, batch_axis=None) for out in spec.outputs)
    return replace(spec, outputs=given, batched=False)


def _range(engine: CudaEngine, tensor: TensorSpec, profile: int) -> Shapes:
    if tensor.host:
        # by position, and in this order: the bindings' parameter names are swapped
        found = engine.get_tensor_profile_values(profile, tensor.name)
        least, best, most = (tuple(int(value) for value in values) for values in found)
    else:
        dims = engine.get_tensor_profile_shape(tensor.name, profile)
        least, best, most = (as_tuple(shape) for shape in dims)
    return Shapes(least, best, most)


def _aliases(engine: CudaEngine, outputs: Sequence[TensorSpec]) -> dict[str, str]:
    if not hasattr(engine, "get_aliased_input_tensor"):  # before 10.15
        return {}
    found = {spec.name: engine.get_aliased_input_tensor(spec.name) for spec in outputs}
    return {output: source for output, source in found.items() if source}
