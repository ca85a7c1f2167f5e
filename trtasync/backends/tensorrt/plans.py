"""A plan file and what its engine says of itself."""

import mmap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trtasync.backends.tensorrt.api import CudaEngine, Dims, Runtime
from trtasync.backends.tensorrt.dtypes import numpy_dtype
from trtasync.backends.tensorrt.library import Library
from trtasync.cuda import Device
from trtasync.errors import PlanError
from trtasync.profiles import Shape, Shapes
from trtasync.requests import Layout
from trtasync.tensors import ModelSpec, TensorSpec

LINEAR = "kLINEAR"
"""In the description of a plain row-major format; the lean runtime has no TensorFormat."""


@dataclass(frozen=True, slots=True)
class PlanProfile:
    """One optimization profile of a plan.

    Attributes:
        index: TensorRT's number of it.
        ranges: per input, in order: of its shape, or of its values (shape tensors).
    """

    index: int
    ranges: tuple[Shapes, ...]

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
        smallest_batch: rows that some profile takes at least.
        largest_batch: rows that some profile takes at most; None when nothing is batched.
    """

    spec: ModelSpec
    profiles: tuple[PlanProfile, ...]
    aliases: dict[str, str]
    smallest_batch: int
    largest_batch: int | None

    def numbers(self, layout: Layout, rows: int) -> tuple[Shape, ...]:
        """Per input what the profiles speak of, for a batch of `rows` rows of a layout."""
        shapes, values = iter(layout.shapes), iter(layout.values)
        head = (rows,) if self.spec.batched else ()
        return tuple(
            next(values) if spec.host else (*head, *next(shapes)) for spec in self.spec.inputs
        )

    def default_batch_sizes(self, largest: int) -> tuple[int, ...]:
        """Powers of two from the smallest batch to `largest`, and that."""
        least = self.smallest_batch
        powers = [1 << bit for bit in range(largest.bit_length()) if least < 1 << bit < largest]
        return tuple(sorted({min(least, largest), *powers, largest}))

    def profile_for(self, numbers: Sequence[Shape]) -> PlanProfile | None:
        """The fitting profile that was tuned for the nearest shape, or None."""
        fitting = [profile for profile in self.profiles if profile.allows(numbers)]
        return min(fitting, key=lambda profile: profile.distance(numbers)) if fitting else None


class PlanRefused(PlanError):
    """TensorRT does not take this plan here.

    Attributes:
        has_room: the device had more memory free than the plan has bytes, so that was not why.
    """

    has_room: bool = True


def deserialize(lib: Library, runtime: Runtime, path: Path, device: Device) -> CudaEngine:
    """Make an engine on a device from a plan file, which is mapped and not read into memory.

    Raises:
        PlanError: with TensorRT's own words, and with the versions where they can be told.
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
        raise PlanRefused(
            f"TensorRT {lib.version} cannot read {name} on {device.name} (compute capability "
            f"{device.capability[0]}.{device.capability[1]}): {lib.journal.since(mark)}. "
            "A plan runs on the TensorRT version and the GPU model it was built "
            "for; build it again here, or build it version and hardware compatible. A version "
            "compatible plan takes engine_host_code_allowed=True, if you trust it.",
            has_room=device.free_bytes() > getattr(plan, "nbytes", len(plan)),
        )
    return engine


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
        PlanProfile(index, tuple(_range(engine, tensor, index) for tensor in inputs))
        for index in range(engine.num_optimization_profiles)
    )
    least, most = _batch_range(spec, profiles)
    return PlanSpec(spec, profiles, _aliases(engine, outputs), least, most)


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
    """Batched where rows lie first in everything that is no shape tensor."""
    spec = ModelSpec.from_tensors(inputs, outputs)
    tensors = [*(each for each in spec.inputs if not each.host), *spec.outputs]
    if spec.batched and not all(each.shape and each.batch_axis == 0 for each in tensors):
        return replace(spec, batched=False)
    return spec


def _range(engine: CudaEngine, tensor: TensorSpec, profile: int) -> Shapes:
    if tensor.host:
        # by position, and in this order: the bindings' parameter names are swapped
        found = engine.get_tensor_profile_values(profile, tensor.name)
        least, best, most = (tuple(int(value) for value in values) for values in found)
    else:
        dims = engine.get_tensor_profile_shape(tensor.name, profile)
        least, best, most = (as_tuple(shape) for shape in dims)
    return Shapes(least, best, most)


def _batch_range(spec: ModelSpec, profiles: Sequence[PlanProfile]) -> tuple[int, int | None]:
    if not spec.batched:
        return 1, None
    for profile in profiles:
        heads = {
            tensor.name: (range_.min[0], range_.max[0])
            for tensor, range_ in zip(spec.inputs, profile.ranges, strict=True)
            if not tensor.host
        }
        if len(set(heads.values())) > 1:
            raise PlanError(
                f"profile {profile.index} allows different ranges on the first axes of the inputs "
                f"({heads}), so they are not one batch axis. Build the plan with the same range "
                "for all of them, or with a fixed first axis where it is no batch axis."
            )
    first = [
        range_
        for profile in profiles
        for tensor, range_ in zip(spec.inputs, profile.ranges, strict=True)
        if not tensor.host
    ]
    return min(range_.min[0] for range_ in first), max(range_.max[0] for range_ in first)


def _aliases(engine: CudaEngine, outputs: Sequence[TensorSpec]) -> dict[str, str]:
    if not hasattr(engine, "get_aliased_input_tensor"):  # before 10.15
        return {}
    found = {spec.name: engine.get_aliased_input_tensor(spec.name) for spec in outputs}
    return {output: source for output, source in found.items() if source}
