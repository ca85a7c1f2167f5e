"""A plan file and what its engine says of itself."""

import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trtasync.backends.tensorrt.api import CudaEngine, Dims, Runtime
from trtasync.backends.tensorrt.batch_ranges import BatchRange, merged
from trtasync.backends.tensorrt.dtypes import numpy_dtype
from trtasync.backends.tensorrt.library import Library
from trtasync.cuda import Device
from trtasync.errors import CudaError, PlanError
from trtasync.profiles import Shape, Shapes
from trtasync.requests import Layout
from trtasync.tensors import ModelSpec, TensorSpec

LINEAR = "kLINEAR"
"""In the description of a plain row-major format; the lean runtime has no TensorFormat."""


OUT_OF_MEMORY = ("out of memory", "outofmemory", "requested amount of gpu memory")
"""What TensorRT's words hold, in small letters, when the device was full."""

Box = tuple[tuple[int, int], ...]
"""The smallest and the largest number on every axis of a row, of all inputs in order."""


@dataclass(frozen=True, slots=True)
class PlanProfile:
    """One optimization profile of a plan.

    Attributes:
        index: TensorRT's number of it.
        ranges: per input, in order: of its shape, or of its values (shape tensors).
        batches: rows of the smallest and the largest batch; None where nothing is batched.
    """

    index: int
    ranges: tuple[Shapes, ...]
    batches: BatchRange | None

    def takes(self, rows: int) -> bool:
        """Batches of so many rows are within it."""
        return self.batches is None or self.batches[0] <= rows <= self.batches[1]

    def allows(self, numbers: Sequence[Shape]) -> bool:
        """`numbers`: per input its shape, or its values (shape tensors)."""
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

    @property
    def largest_batch(self) -> int | None:
        """Rows that some profile takes at most; None when nothing is batched."""
        return self.batches[-1][1] if self.batches else None

    def numbers(self, layout: Layout, rows: int) -> tuple[Shape, ...]:
        """Per input what the profiles speak of, for a batch of `rows` rows of a layout."""
        shapes, values = iter(layout.shapes), iter(layout.values)
        head = (rows,) if self.spec.batched else ()
        return tuple(
            next(values) if spec.host else (*head, *next(shapes)) for spec in self.spec.inputs
        )

    def reached(self, batch_sizes: Sequence[int]) -> list[PlanProfile]:
        """The profiles that a batch of one of these sizes may run on."""
        return [
            profile for profile in self.profiles if any(profile.takes(size) for size in batch_sizes)
        ]

    def has_rows_for(self, batch_sizes: Sequence[int]) -> bool:
        """Some row shape (and values) runs in batches of every one of these sizes."""
        common: set[Box] = {()}
        for size in batch_sizes:
            boxes = [self._rows_of(profile) for profile in self.reached((size,))]
            met = (_intersection(box, other) for box in common for other in boxes)
            common = {box for box in met if box is not None}
        return bool(common)

    def _rows_of(self, profile: PlanProfile) -> Box:
        heads = [int(self.spec.batched and not spec.host) for spec in self.spec.inputs]
        return tuple(
            pair
            for head, range_ in zip(heads, profile.ranges, strict=True)
            for pair in zip(range_.min[head:], range_.max[head:], strict=True)
        )

    def profile_for(self, numbers: Sequence[Shape]) -> PlanProfile | None:
        """The fitting profile that was tuned for the nearest shape, or None."""
        fitting = [profile for profile in self.profiles if profile.allows(numbers)]
        return min(fitting, key=lambda profile: profile.distance(numbers)) if fitting else None


def _intersection(one: Box, other: Box) -> Box | None:
    """() is everything."""
    if not one or not other:
        return one or other
    box = tuple((max(a, c), min(b, d)) for (a, b), (c, d) in zip(one, other, strict=True))
    return box if all(low <= high for low, high in box) else None


class PlanRefused(PlanError):
    """TensorRT does not take this plan here, and more memory would not help."""


def deserialize(lib: Library, runtime: Runtime, path: Path, device: Device) -> CudaEngine:
    """Make an engine on a device from a plan file, which is mapped and not read into memory.

    Raises:
        PlanError: with TensorRT's own words, and with the versions where they can be told.
        CudaError: the device has no room for its weights.
        DeviceLost: the device is gone.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as plan:
            return deserialize_bytes(lib, runtime, plan, device, str(path))
    except (OSError, ValueError) as error:
        raise PlanError(f"{path} cannot be read: {error}.") from error


def deserialize_bytes(
    lib: Library, runtime: Runtime, plan: Any, device: Device, name: str = "the plan"
) -> CudaEngine:
    """The same from a buffer; `name` is what messages call it."""
    mark = lib.journal.mark()
    device.enter()
    try:
        engine = runtime.deserialize_cuda_engine(plan)
    except Exception as error:  # what the bindings raise is not documented
        raise PlanError(
            f"TensorRT cannot read {name}: {error}. {lib.journal.since(mark)}"
        ) from error
    if engine is None:
        raise _refusal(lib, device, name, memoryview(plan).nbytes, lib.journal.since(mark))
    return engine


def _refusal(lib: Library, device: Device, name: str, size: int, words: str) -> Exception:
    free = device.free_bytes()  # raises DeviceLost where that is why
    if free < size or any(sign in words.lower() for sign in OUT_OF_MEMORY):
        return CudaError(
            f"{name} does not fit on {device.name}: of its memory {free} bytes are free, and the "
            f"plan has {size}, most of them weights. Close other engines or processes on this GPU, "
            f"or choose another one (devices=). TensorRT: {words}."
        )
    major, minor = device.capability
    return PlanRefused(
        f"TensorRT {lib.version} cannot read {name} on {device.name} (compute capability "
        f"{major}.{minor}): {words}. A plan runs on the TensorRT version and the GPU model it was "
        "built for; build it again here, or build it version and hardware compatible. A version "
        "compatible plan takes engine_host_code_allowed=True, if you trust it."
    )


def read_plan(lib: Library, engine: CudaEngine) -> PlanSpec:
    """Specs, profiles and batch axis of an engine.

    Raises:
        PlanError: it has tensors that cannot be staged or batched.
    """
    trt = lib.trt
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    modes = {name: engine.get_tensor_mode(name) for name in names}
    inputs = [_spec(lib, engine, n) for n in names if modes[n] == trt.TensorIOMode.INPUT]
    outputs = [_spec(lib, engine, n) for n in names if modes[n] == trt.TensorIOMode.OUTPUT]
    for output in outputs:
        if output.host:
            raise PlanError(
                f"output '{output.name}' is a shape tensor in host memory, which belongs to the "
                "whole batch and to no request; leave it out of the network's outputs."
            )
    spec = _model_spec(inputs, outputs)
    profiles = tuple(
        _profile(engine, spec, index) for index in range(engine.num_optimization_profiles)
    )
    batches = merged(profile.batches for profile in profiles if profile.batches is not None)
    return PlanSpec(spec, profiles, _aliases(engine, outputs), batches)


def _spec(lib: Library, engine: CudaEngine, name: str) -> TensorSpec:
    description = engine.get_tensor_format_desc(name)
    if LINEAR not in description:
        raise PlanError(
            f"tensor '{name}' has the format {description!r}; only linear (row-major) inputs and "
            "outputs can be batched. Build the plan without reformatted I/O (allowed_formats)."
        )
    dtype = numpy_dtype(lib.trt, engine.get_tensor_dtype(name), name)
    shape = tuple(None if dim < 0 else dim for dim in as_tuple(engine.get_tensor_shape(name)))
    host = engine.get_tensor_location(name) == lib.trt.TensorLocation.HOST
    return TensorSpec(name, dtype, shape, host=host)


def as_tuple(dims: Dims) -> Shape:
    """A shape as Python ints. `Dims` themselves are slow and cannot be compared."""
    return tuple(int(dim) for dim in dims)


def _model_spec(inputs: list[TensorSpec], outputs: list[TensorSpec]) -> ModelSpec:
    spec = ModelSpec.from_tensors(inputs, outputs)
    if spec.batched and not all(output.shape for output in outputs):
        return ModelSpec(spec.inputs, spec.outputs, batched=False)  # a scalar belongs to no row
    return spec


def _profile(engine: CudaEngine, spec: ModelSpec, index: int) -> PlanProfile:
    ranges = tuple(_range(engine, tensor, index) for tensor in spec.inputs)
    return PlanProfile(index, ranges, _batches(spec, index, ranges))


def _range(engine: CudaEngine, tensor: TensorSpec, profile: int) -> Shapes:
    if tensor.host:
        # by position, and in this order: the bindings' parameter names are swapped
        found = engine.get_tensor_profile_values(profile, tensor.name)
        least, best, most = (tuple(int(value) for value in values) for values in found)
    else:
        dims = engine.get_tensor_profile_shape(tensor.name, profile)
        least, best, most = (as_tuple(shape) for shape in dims)
    return Shapes(least, best, most)


def _batches(spec: ModelSpec, profile: int, ranges: Sequence[Shapes]) -> BatchRange | None:
    if not spec.batched:
        return None
    heads = {
        tensor.name: (range_.min[0], range_.max[0])
        for tensor, range_ in zip(spec.inputs, ranges, strict=True)
        if not tensor.host
    }
    if len(set(heads.values())) > 1:
        raise PlanError(
            f"profile {profile} allows different ranges on the first axes of the inputs "
            f"({heads}), so they are not one batch axis. Build the plan with the same range "
            "for all of them, or with a fixed first axis where it is no batch axis."
        )
    return next(iter(heads.values()))


def _aliases(engine: CudaEngine, outputs: Sequence[TensorSpec]) -> dict[str, str]:
    if not hasattr(engine, "get_aliased_input_tensor"):  # before 10.15
        return {}
    found = {spec.name: engine.get_aliased_input_tensor(spec.name) for spec in outputs}
    return {output: source for output, source in found.items() if source}
