"""How many bytes the tensors of a plan take at most, asked of TensorRT before any is allocated."""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from trtasync.backends.tensorrt.api import CudaEngine
from trtasync.backends.tensorrt.contexts import Context
from trtasync.backends.tensorrt.library import Library
from trtasync.backends.tensorrt.plans import PlanProfile, PlanSpec
from trtasync.errors import InferenceError, PlanError
from trtasync.profiles import Shape

log = logging.getLogger("trtasync")

Found = tuple[int, int, bool]
"""(index of an output, its bytes, they do not depend on data)."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes at the largest shapes that are run.

    Attributes:
        inputs: per input (shape tensors left out).
        outputs: per output; where the size depends on data, TensorRT's bound or 0.
        dynamic: indices of the outputs whose size depends on data.
        activation: of any one context.
    """

    inputs: tuple[int, ...]
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
    """Ask one context per profile for its largest shapes.

    Args:
        lib: TensorRT.
        plan: the plan.
        engine: made from it.
        contexts: of the profiles that `batch_sizes` reach, by index; their shapes are set here.
        batch_sizes: what is run, in rows.

    Raises:
        PlanError: a profile's largest shapes are refused, or outputs that depend on data would
            have to be told apart by rows.
    """
    inputs = [0] * len(plan.spec.row_inputs)
    outputs = [0] * len(plan.spec.outputs)
    dynamic = set()
    for profile in plan.reached(batch_sizes):
        most = _largest(plan, profile, batch_sizes)
        rows = [n for spec, n in zip(plan.spec.inputs, most, strict=True) if not spec.host]
        for index, (spec, shape) in enumerate(zip(plan.spec.row_inputs, rows, strict=True)):
            inputs[index] = max(inputs[index], math.prod(shape) * spec.dtype.itemsize)
        for index, size, known in _outputs_of(lib, plan, profile, contexts[profile.index], most):
            outputs[index] = max(outputs[index], size)
            if not known:
                dynamic.add(index)
    if plan.spec.batched and dynamic:
        names = [plan.spec.outputs[index].name for index in sorted(dynamic)]
        raise PlanError(
            f"the size of output(s) {names} depends on data, so rows of a batch cannot be told "
            "apart. Build the plan with a fixed first axis (requests then run alone), or give the "
            "outputs a fixed size per row and a count."
        )
    activation = max(engine.get_device_memory_size_for_profile_v2(index) for index in contexts)
    return Sizes(tuple(inputs), tuple(outputs), frozenset(dynamic), activation)


def _outputs_of(
    lib: Library, plan: PlanSpec, profile: PlanProfile, context: Context, most: tuple[Shape, ...]
) -> list[Found]:
    """What the outputs take at the largest shapes of a profile and at its corners.

    Not every corner need be possible: the mask of a text has its length, and the values of a
    Reshape have to fit its input. What no corner has foreseen is refused when it comes. The largest
    shapes have to be possible, unless they are values, which are no sizes.
    """
    found: list[Found] = []
    # an output may also grow as an input, or a value such as a stride, becomes smaller
    for numbers in _corners(plan, profile, most):
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
                f"profile {profile.index} of the plan allows shapes that its network refuses: "
                f"{error} Build it with a profile whose largest shapes go together."
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


def _largest(plan: PlanSpec, profile: PlanProfile, batch_sizes: Sequence[int]) -> tuple[Shape, ...]:
    """The largest input shapes (and values) of a profile, with as many rows as it ever runs."""
    rows = max(size for size in batch_sizes if profile.takes(size)) if plan.spec.batched else 0
    return tuple(
        (rows, *range_.max[1:]) if rows and not spec.host else range_.max
        for spec, range_ in zip(plan.spec.inputs, profile.ranges, strict=True)
    )


def _corners(
    plan: PlanSpec, profile: PlanProfile, most: tuple[Shape, ...]
) -> list[tuple[Shape, ...]]:
    """What the profile was tuned for, and the largest shapes with each input in turn at its
    smallest; all with as many rows."""

    def with_rows(at: int, shape: Shape) -> Shape:
        rows = plan.spec.batched and not plan.spec.inputs[at].host
        return (most[at][0], *shape[1:]) if rows else shape

    found = [tuple(with_rows(at, range_.opt) for at, range_ in enumerate(profile.ranges))]
    for at, range_ in enumerate(profile.ranges):
        found.append((*most[:at], with_rows(at, range_.min), *most[at + 1 :]))
    return [numbers for numbers in dict.fromkeys(found) if numbers != most]
