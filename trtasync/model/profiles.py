"""Optimization profiles: the shapes that a plan accepts, and those it is optimized for."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trtasync.errors import InvalidInput
from trtasync.model.arrays import Shape

MAX_DIMS = 8
"""TensorRT's `Dims.MAX_DIMS`."""

LARGEST_DIM = 2**31 - 1
"""TensorRT's bindings cast every dimension to int32."""


@dataclass(frozen=True, slots=True)
class Shapes:
    """[min, opt, max] of one input: of its shape, or of its values if it is a shape tensor.

    Attributes:
        min: the smallest accepted, in elements per axis (including the batch axis).
        opt: the shape that TensorRT optimizes for.
        max: the largest accepted.
    """

    min: Shape
    opt: Shape
    max: Shape

    def __post_init__(self) -> None:
        for name in ("min", "opt", "max"):
            object.__setattr__(self, name, _dims(getattr(self, name), name))

    @classmethod
    def only(cls, shape: Sequence[int]) -> "Shapes":
        """Only this `shape`."""
        dims = _dims(shape, "the shape")
        return cls(dims, dims, dims)

    def allows(self, numbers: Shape) -> bool:
        """Whether there is one of `numbers` per axis, and each is within the range."""
        return len(numbers) == len(self.min) and all(
            low <= number <= high
            for low, number, high in zip(self.min, numbers, self.max, strict=True)
        )

    def distance(self, numbers: Shape) -> int:
        """The distance of `numbers` from `opt`: Triton's criterion for choosing a profile."""
        return sum(abs(number - best) for number, best in zip(numbers, self.opt, strict=True))

    def problem(self) -> str:
        """The reason why the shapes are invalid, naming the axis; "" if they are valid."""
        ranks = {len(self.min), len(self.opt), len(self.max)}
        if len(ranks) > 1:
            return (
                f"min {written(self.min)}, opt {written(self.opt)} and max {written(self.max)} "
                "have different numbers of axes"
            )
        if len(self.min) > MAX_DIMS:
            return f"it has {len(self.min)} axes; TensorRT knows {MAX_DIMS} at most"
        for axis, (low, best, high) in enumerate(zip(self.min, self.opt, self.max, strict=True)):
            if not low <= best <= high:
                return f"axis {axis}: min {low} <= opt {best} <= max {high} does not hold"
            if high > LARGEST_DIM or low < -LARGEST_DIM - 1:
                return (
                    f"axis {axis}: {low} to {high} is beyond what TensorRT counts ({LARGEST_DIM})"
                )
        return ""

    def __str__(self) -> str:
        if self.min == self.max:
            return written(self.max)
        return "/".join(map(written, (self.min, self.opt, self.max)))


@dataclass(frozen=True, slots=True)
class Profile:
    """One optimization profile, by input name.

    `Profile({"x": Shapes((1, 3, 224, 224), (16, 3, 224, 224), (64, 3, 224, 224))})`, or in
    trtexec's form `Profile.parse("x:1x3x224x224/16x3x224x224/64x3x224x224")`. Inputs left out are
    derived from the model. For a shape tensor the numbers are its values.

    Attributes:
        shapes: input name -> its shapes.

    Raises:
        InvalidInput: the shapes are invalid; names the input and the axis.
    """

    shapes: Mapping[str, Shapes]

    def __post_init__(self) -> None:
        given: Any = self.shapes
        if not isinstance(given, Mapping):
            raise InvalidInput(f"a Profile maps input names to Shapes; it got {given!r}.")
        for name, shapes in given.items():
            if not isinstance(name, str) or not isinstance(shapes, Shapes):
                raise InvalidInput(
                    f"a Profile maps input names to Shapes(min, opt, max); it got {name!r}: "
                    f"{shapes!r}."
                )
            if problem := shapes.problem():
                raise InvalidInput(f"profile of input '{name}': {problem}.")
        object.__setattr__(self, "shapes", dict(given))

    @classmethod
    def parse(cls, text: str) -> "Profile":
        """Read `x:MIN/OPT/MAX,y:...`, where a shape is `1x3x224x224`, or `x:SHAPE` for one shape.

        Args:
            text: a name may be quoted, as in trtexec: `'input:0':1x3`; a quote in it is then
                written twice.
        """
        return cls({name: _parse_shapes(name, dims) for name, dims in _specs(text)})

    @classmethod
    def parse_three(cls, least: str, best: str, most: str) -> "Profile":
        """Read three options of trtexec, which name the same inputs.

        Args:
            least: of `--minShapes`.
            best: of `--optShapes`.
            most: of `--maxShapes`.
        """
        three = [dict(_specs(text)) for text in (least, best, most)]
        if len({frozenset(each) for each in three}) > 1:
            names = [sorted(each) for each in three]
            raise InvalidInput(
                f"the min, opt and max shapes must name the same inputs; they name {names}."
            )
        return cls(
            {name: Shapes(*(_parse_dims(name, each[name]) for each in three)) for name in three[0]}
        )

    def __str__(self) -> str:
        return ",".join(f"{quoted(name)}:{shapes}" for name, shapes in self.shapes.items())

    def sorted_text(self) -> str:
        """The same text for equal profiles: inputs by name."""
        return str(Profile(dict(sorted(self.shapes.items()))))

    def __hash__(self) -> int:
        return hash(frozenset(self.shapes.items()))


def read_profiles(given: Any) -> tuple[Profile, ...]:
    """Convert profiles from any of the accepted forms.

    Raises:
        InvalidInput: one is not a profile.
    """
    if given is None:
        return ()
    if isinstance(given, (Profile, str)):
        given = (given,)
    if not isinstance(given, Sequence):
        raise InvalidInput(f"profiles must be Profiles or their text form, not {given!r}.")
    return tuple(map(_profile, given))


def _profile(given: Any) -> Profile:
    if isinstance(given, str):
        return Profile.parse(given)
    if not isinstance(given, Profile):
        raise InvalidInput(f"a profile is a trtasync.Profile or its text form, not {given!r}.")
    return given


def written(shape: Sequence[int]) -> str:
    """A shape in trtexec's form, e.g. `1x3x224x224`."""
    return "x".join(map(str, shape))


def quoted(name: str) -> str:
    plain = name == name.strip() and not set(name) & set(":,'")
    return name if plain else "'" + name.replace("'", "''") + "'"


_SPEC = re.compile(r"\s*(?:'((?:[^']|'')+)'|([^:,']+)):([^,]*)(?:,|$)")


def _specs(text: Any) -> Iterator[tuple[str, str]]:
    """(name, what follows the colon) of each part between commas."""
    if not isinstance(text, str):
        raise InvalidInput(f"a profile's text must be a string, not {text!r}.")
    position, names = 0, set[str]()
    while position < len(text):
        found = _SPEC.match(text, position)
        if found is None:
            break
        name = found[1].replace("''", "'") if found[1] else found[2].strip()
        if name in names:
            raise InvalidInput(f"a profile gives each input once; {text!r} gives '{name}' twice.")
        names.add(name)
        yield name, found[3].strip()
        position = found.end()
    if position == 0 or position < len(text):
        raise InvalidInput(
            f"a profile reads name:1x3x224x224 or name:MIN/OPT/MAX, with commas between inputs; "
            f"{text!r} does not from {text[position:]!r} on."
        )


def _parse_shapes(name: str, text: str) -> Shapes:
    parts = [_parse_dims(name, part) for part in text.split("/")]
    if len(parts) == 1:
        return Shapes.only(parts[0])
    if len(parts) != 3:
        raise InvalidInput(
            f"profile of input '{name}': {text!r} has {len(parts)} shapes; "
            "give one, or MIN/OPT/MAX."
        )
    return Shapes(*parts)


def _parse_dims(name: str, text: str) -> Shape:
    try:
        return tuple(int(dim) for dim in text.split("x"))
    except ValueError:
        raise InvalidInput(
            f"profile of input '{name}': {text!r} is not a shape such as 1x3x224x224."
        ) from None


def _dims(value: Any, what: str) -> Shape:
    try:
        dims = tuple(value)
        whole = [int(dim) for dim in dims]
    except (TypeError, ValueError, OverflowError):
        raise InvalidInput(f"{what} must be a shape such as (1, 3), not {value!r}.") from None
    if isinstance(value, (str, bytes)) or any(
        isinstance(dim, bool) or number != dim for number, dim in zip(whole, dims, strict=True)
    ):
        raise InvalidInput(f"{what} must be a shape of whole numbers, not {value!r}.")
    return tuple(whole)
