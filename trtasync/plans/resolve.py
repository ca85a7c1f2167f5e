"""Completes the user's profiles for a network, and checks them, ready for TensorRT.

This happens after the parse and before the build, so that a mistake costs seconds, not minutes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trtasync.errors import InvalidInput
from trtasync.model.arrays import Shape
from trtasync.model.profiles import Profile, Shapes, quoted, written
from trtasync.model.tensors import Dim, ModelSpec

DEFAULT_MAX_BATCH_SIZE = 32
"""Of a model with a dynamic batch axis when nothing else is said."""


@dataclass(frozen=True, slots=True)
class NetworkInput:
    """What profiles need to know about an input.

    Attributes:
        name: the tensor's name.
        shape: int = fixed, str = named dynamic, None = unnamed dynamic.
        values: for a shape tensor, the number of its values, which profiles then limit.
        batch_axis: the axis along which rows lie; None for none.
    """

    name: str
    shape: tuple[Dim, ...]
    values: int | None = None
    batch_axis: int | None = None

    @property
    def dynamic(self) -> bool:
        """Whether it needs a range in every profile."""
        return self.values is not None or any(not isinstance(dim, int) for dim in self.shape)

    @property
    def batches(self) -> int | None:
        """Its batch axis, if that is dynamic."""
        axis = self.batch_axis
        if self.values is not None or axis is None or isinstance(self.shape[axis], int):
            return None
        return axis

    def axis(self, index: int) -> str:
        """In words, e.g. `axis 2 ("width")`."""
        dim = self.shape[index]
        return f'axis {index} ("{dim}")' if isinstance(dim, str) else f"axis {index}"


def inputs_of(spec: ModelSpec, values: Mapping[str, int] | None = None) -> list[NetworkInput]:
    """The inputs of a model, with a range of rows for all that may have rows: if nothing tells the
    batch axis, it is the first.

    Args:
        spec: the model's spec.
        values: the number of values of each shape tensor, by name.
    """
    counts = values or {}
    first = None if spec.has_rows else 0
    return [
        NetworkInput(
            each.name,
            each.shape,
            counts.get(each.name),
            first if each.shape and each.batch_axis is None else each.batch_axis,
        )
        for each in spec.inputs
    ]


def complete(
    inputs: Sequence[NetworkInput], profiles: Sequence[Profile], max_batch_size: int | None
) -> list[Profile]:
    """Give every profile a range for every dynamic input; [] for a network of fixed shapes.

    Without profiles, one is derived: batches from 1 to `max_batch_size`, tuned for the largest,
    because that is what a busy engine runs.

    Args:
        inputs: the network's inputs.
        profiles: those that the user gave.
        max_batch_size: rows of the largest batch; None for the default.

    Raises:
        InvalidInput: naming the input and the axis.
    """
    _check_names(inputs, profiles)
    if not any(each.dynamic for each in inputs) and not profiles:
        return []
    given = profiles or [Profile({})]
    completed = [_complete(inputs, profile, max_batch_size) for profile in given]
    _check_batch(inputs, completed, max_batch_size)
    return completed


def _check_batch(
    inputs: Sequence[NetworkInput], profiles: Sequence[Profile], max_batch_size: int | None
) -> None:
    """Refuse now what no profile allows: the engine would refuse it after the build."""
    heads = [
        profile.shapes[each.name].max[each.batches]
        for each in inputs
        if each.batches is not None
        for profile in profiles
    ]
    if max_batch_size is not None and heads and max(heads) < max_batch_size:
        raise InvalidInput(
            f"max_batch_size={max_batch_size}, but the profiles allow batches of at most "
            f"{max(heads)}."
        )


def _check_names(inputs: Sequence[NetworkInput], profiles: Sequence[Profile]) -> None:
    known = {each.name for each in inputs}
    for profile in profiles:
        for name in profile.shapes:
            if name not in known:
                raise InvalidInput(
                    f"a profile names the input '{name}', but the network's inputs are "
                    f"{', '.join(sorted(known)) or 'none'}."
                )


def _complete(
    inputs: Sequence[NetworkInput], profile: Profile, max_batch_size: int | None
) -> Profile:
    batch = _batch(inputs, profile, max_batch_size)
    found = {}
    for each in inputs:
        given = profile.shapes.get(each.name)
        if given is not None:
            _check(each, given)
            found[each.name] = given
        elif each.dynamic:
            found[each.name] = _derive(each, batch)
    return Profile(found)


def _batch(
    inputs: Sequence[NetworkInput], profile: Profile, max_batch_size: int | None
) -> tuple[int, int, int]:
    """[min, opt, max] of the batch axis, from the inputs that the profile names, if any."""
    for each in inputs:
        given = profile.shapes.get(each.name)
        axis = each.batches
        if given is not None and axis is not None and len(given.max) == len(each.shape):
            return given.min[axis], given.opt[axis], given.max[axis]
    largest = max_batch_size or DEFAULT_MAX_BATCH_SIZE
    return 1, largest, largest


def _derive(each: NetworkInput, batch: tuple[int, int, int]) -> Shapes:
    if each.values is not None:
        raise InvalidInput(
            f"input '{each.name}' is a shape tensor of {each.values} value(s); a profile must give "
            f"the range of its values: Profile({{'{each.name}': Shapes(min, opt, max)}})."
        )
    for index, dim in enumerate(each.shape):
        if not isinstance(dim, int) and index != each.batches:
            raise InvalidInput(
                f"input '{each.name}': {each.axis(index)} is dynamic and its range is not known; "
                f"give a profile such as --profile {_example(each, batch)} or "
                f"Profile.parse('{_example(each, batch)}')."
            )
    return Shapes(*(_shape(each, size, 0) for size in batch))


def _shape(each: NetworkInput, rows: int, other: int) -> Shape:
    """The shape with `rows` along its batch axis, and `other` along other dynamic axes."""
    return tuple(
        dim if isinstance(dim, int) else rows if index == each.batches else other
        for index, dim in enumerate(each.shape)
    )


def _example(each: NetworkInput, batch: tuple[int, int, int]) -> str:
    shapes = [_shape(each, size, other) for size, other in zip(batch, (1, 64, 256), strict=True)]
    return f"{quoted(each.name)}:{'/'.join(map(written, shapes))}"


def _check(each: NetworkInput, given: Shapes) -> None:
    rank = len(each.shape) if each.values is None else each.values
    if len(given.max) != rank:
        what = "axes" if each.values is None else "values"
        raise InvalidInput(
            f"input '{each.name}' has {rank} {what} {_dims(each)}; the profile gives "
            f"{len(given.max)}: {given}."
        )
    if each.values is not None:
        return
    for index, dim in enumerate(each.shape):
        low, high = given.min[index], given.max[index]
        if low < 0:
            raise InvalidInput(
                f"input '{each.name}': {each.axis(index)} cannot be as short as {low}."
            )
        if isinstance(dim, int) and (low, high) != (dim, dim):
            raise InvalidInput(
                f"input '{each.name}': {each.axis(index)} is fixed at {dim} in the network "
                f"{_dims(each)}; the profile gives {low} to {high}."
            )


def _dims(each: NetworkInput) -> str:
    return f"[{', '.join('?' if dim is None else str(dim) for dim in each.shape)}]"
