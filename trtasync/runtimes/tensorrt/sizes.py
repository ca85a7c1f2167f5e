"""The most bytes that a plan's tensors take, queried from TensorRT before any allocation."""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from trtasync.errors import InferenceError, PlanError
from trtasync.model.arrays import Shape
from trtasync.runtimes.tensorrt.api import CudaEngine
from trtasync.runtimes.tensorrt.contexts import Context
from trtasync.runtimes.tensorrt.library import Library
from trtasync.runtimes.tensorrt.plans import PlanProfile, PlanSpec

log: logging.Logger = logging.getLogger("trtasync")

Found = tuple[int, int, bool]
"""(index of an output, its bytes, they do not depend on data)."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes at the largest shapes that are run.

    Attributes:
        inputs: by name (without shape tensors).
        outputs: per output; if the size depends on data, TensorRT's bound or 0.
        dynamic: indices of the outputs whose size depends on data.
        activation: the activation memory of one context.
    """

    inputs: Mapping[str, int]
    outputs: tuple[int, ...]
    dynamic: frozenset[int]
    activation: int


def measure(
    lib: Library,
    plan: PlanSpec,
    engine: CudaEngine,
    contexts: Mapping[int, Context],
    batch_sizes: Sequence[int],
) -> Sizes:
    """Measure the largest shapes, with one context per profile.

    Args:
        lib: TensorRT.
        plan: the plan.
        engine: made from it.
        contexts: one per profile that `batch_sizes` reach, by index; their shapes are set here.
        batch_sizes: the sizes that are run, in rows.

    Raises:
        PlanError: a profile's largest shapes are refused, or outputs whose size depends on data
            would have to be split into rows.
    """
    inputs = {spec.name: 0 for spec in plan.spec.inputs if not spec.host}
    outputs = [0] * len(plan.spec.outputs)
    dynamic = set()
    for profile in plan.reached(batch_sizes):
        rows = max(size for size in batch_sizes if profile.takes(size))
        most = plan.resized([range_.max for range_ in profile.ranges], rows)
        for spec, shape in zip(plan.spec.inputs, most, strict=True):
            if not spec.host:
                size = math.prod(shape) * spec.dtype.itemsize
                inputs[spec.name] = max(inputs[spec.name], size)
        corners = _corners(plan, profile, most, rows)
        context = contexts[profile.index]
        for index, size, known in _outputs_of(lib, plan, context, corners, most):
            outputs[index] = max(outputs[index], size)
            if not known:
                dynamic.add(index)
    if plan.spec.batched and dynamic:
        names = [plan.spec.outputs[index].name for index in sorted(dynamic)]
        raise PlanError(
            f"the size of output(s) {names} depends on data, so a batch cannot be split into "
            "rows. Open it with batching=False, or give the outputs a fixed size per row and a "
            "count."
        )
    activation = max(engine.get_device_memory_size_for_profile_v2(index) for index in contexts)
    return Sizes(inputs, tuple(outputs), frozenset(dynamic), activation)


def _outputs_of(
    lib: Library,
    plan: PlanSpec,
    context: Context,
    corners: Sequence[tuple[Shape, ...]],
    most: tuple[Shape, ...],
) -> list[Found]:
    """The sizes of the outputs at the largest shapes of a profile and at its corners.

    Not every corner need be possible: the mask of a text has the text's length, and the values of a
    Reshape have to fit its input. Anything larger than at the corners is refused at run time. The
    largest shapes have to be possible, unless they are values, which are not sizes.
    """
    found: list[Found] = []
    # an output may also grow as an input, or a value such as a stride, becomes smaller
    for numbers in corners:
        try:
            with lib.journal.quietly():
                found += _outputs_at(plan, context, numbers)
        except InferenceError as error:
            log.debug("%s", error)
    try:
        with lib.journal.quietly():
            found += _outputs_at(plan, context, most)
    except InferenceError as error:
        if not found or not any(spec.host for spec in plan.spec.inputs):
            raise PlanError(
                f"a profile of the plan allows shapes that its network refuses: {error} "
                "Build it with a profile whose largest shapes are compatible."
            ) from error
        log.debug("%s", error)
    return found


def _outputs_at(plan: PlanSpec, context: Context, numbers: tuple[Shape, ...]) -> Iterator[Found]:
    for index, shape in enumerate(context.shape(numbers)):
        spec = plan.spec.outputs[index]
        if shape is None:
            yield index, context.max_output_bytes(spec.name), False
        else:
            yield index, math.prod(shape) * spec.dtype.itemsize, True


def _corners(
    plan: PlanSpec, profile: PlanProfile, most: tuple[Shape, ...], rows: int
) -> list[tuple[Shape, ...]]:
    """The profile's optimum, and its largest shapes with each input in turn at its smallest, all
    with the same number of rows."""
    least = plan.resized([range_.min for range_ in profile.ranges], rows)
    found = [plan.resized([range_.opt for range_ in profile.ranges], rows)]
    found += [(*most[:at], least[at], *most[at + 1 :]) for at in range(len(most))]
    return [numbers for numbers in dict.fromkeys(found) if numbers != most]
