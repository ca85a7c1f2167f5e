"""Which row shapes of a plan get their contexts and graphs before the first request."""

import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from trtasync.model.arrays import Shape
from trtasync.model.profiles import Shapes
from trtasync.model.tensors import Pad
from trtasync.requests.signature import Layout
from trtasync.runtimes.tensorrt.plans import PlanProfile, PlanSpec

log: logging.Logger = logging.getLogger("trtasync")

MAX_WARM_LAYOUTS = 32
"""Row shapes kept warm at most; each has a context per batch size and lane."""


def warm_layouts(
    plan: PlanSpec, batch_sizes: Sequence[int], padding: Mapping[str, Pad]
) -> list[Layout]:
    """Fixed row shapes, the sizes that `padding` gives, and what each profile was tuned for.

    Args:
        plan: the plan.
        batch_sizes: in rows.
        padding: input name -> rule.
    """
    if any(spec.host for spec in plan.spec.inputs):
        return []  # the values of shape tensors are not known before a request brings them
    shapes = dict.fromkeys(
        each for profile in plan.reached(batch_sizes) for each in _rows_of(plan, profile, padding)
    )
    if len(shapes) > MAX_WARM_LAYOUTS:
        log.warning("%d row shapes should be kept warm; only %d are", len(shapes), MAX_WARM_LAYOUTS)
    return [_layout(plan, each) for each in itertools.islice(shapes, MAX_WARM_LAYOUTS)]


def _rows_of(
    plan: PlanSpec, profile: PlanProfile, padding: Mapping[str, Pad]
) -> Iterator[tuple[Shape, ...]]:
    """Per input, the shape of one row.

    Inputs that are padded to the same sizes have the same length (tokens and their mask): other
    combinations may not be valid shapes of the network at all.
    """
    inputs = list(zip(plan.spec.inputs, profile.ranges, strict=True))
    pads = [padding.get(spec.name) for spec, _ in inputs]
    sizes = [_sizes_within(pad, range_) for pad, (_, range_) in zip(pads, inputs, strict=True)]
    lists = [each for each in dict.fromkeys(sizes) if each]
    for lengths in itertools.product(*lists):
        chosen = dict(zip(lists, lengths, strict=True))
        yield tuple(
            plan.row_of(spec, _with_length(range_.opt, pad, chosen.get(size)))
            for (spec, range_), pad, size in zip(inputs, pads, sizes, strict=True)
        )


def _sizes_within(pad: Pad | None, range_: Shapes) -> tuple[int, ...]:
    """The lengths to which padding extends an input and that a profile allows; () for none."""
    if pad is None or not pad.sizes:
        return ()
    axis = pad.axis % len(range_.opt)
    return tuple(size for size in pad.sizes if range_.min[axis] <= size <= range_.max[axis])


def _with_length(shape: Shape, pad: Pad | None, length: int | None) -> Shape:
    """A profile's optimum, with another length on the padded axis."""
    if pad is None or length is None:
        return shape
    axis = pad.axis % len(shape)
    return (*shape[:axis], length, *shape[axis + 1 :])


def _layout(plan: PlanSpec, shapes: tuple[Shape, ...]) -> Layout:
    """The layout of rows of these shapes, with zeros for shared inputs."""
    inputs = list(zip(plan.spec.inputs, shapes, strict=True))
    rows = tuple(shape for spec, shape in inputs if not plan.spec.is_shared(spec))
    shared = tuple(
        np.zeros(shape, spec.dtype) for spec, shape in inputs if plan.spec.is_shared(spec)
    )
    return Layout(rows, tuple(None for _ in rows), (), shared)
