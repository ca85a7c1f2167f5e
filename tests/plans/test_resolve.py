"""Profiles completed for a network."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trtasync import InvalidInput, Profile, Shapes
from trtasync.model.tensors import Dim
from trtasync.plans.resolve import NetworkInput, complete

X = NetworkInput("x", ("N", 3, "width"), batch_axis=0)
BATCHED = NetworkInput("b", (None, 4), batch_axis=0)
FIXED = NetworkInput("fixed", (2, 4), batch_axis=0)
VALUES = NetworkInput("shape", (2,), values=2)


@st.composite
def networks(draw: st.DrawFn) -> list[NetworkInput]:
    """Inputs with unique names, fixed and dynamic ones, and shape tensors."""
    dim: st.SearchStrategy[Dim] = st.one_of(
        st.integers(1, 9), st.none(), st.sampled_from(["N", "L"])
    )
    names = draw(st.lists(st.sampled_from("abcde"), min_size=1, max_size=4, unique=True))
    found = []
    for name in names:
        shape = tuple(draw(st.lists(dim, max_size=4)))
        values = draw(st.one_of(st.none(), st.integers(1, 3)))
        axes = st.none() if values or not shape else st.sampled_from([None, *range(len(shape))])
        found.append(NetworkInput(name, (values,) if values else shape, values, draw(axes)))
    return found


@st.composite
def fitting(draw: st.DrawFn, inputs: Sequence[NetworkInput]) -> Profile:
    """A profile of some of the inputs, in which nothing is wrong."""
    shapes = {}
    for each in inputs:
        if draw(st.booleans()) and each.shape:
            least = -3 if each.values else 0
            number = st.integers(least, 99)
            dims: Sequence[Dim] = (None,) * each.values if each.values else each.shape
            three = [
                (dim,) * 3
                if isinstance(dim, int)
                else sorted(draw(st.tuples(number, number, number)))
                for dim in dims
            ]
            shapes[each.name] = Shapes(*zip(*three, strict=True))
    return Profile(shapes)


@given(st.data(), networks(), st.one_of(st.none(), st.integers(1, 64)))
def test_completed_profiles_are_valid_and_cover_all_that_is_dynamic(
    data: st.DataObject, inputs: list[NetworkInput], largest: int | None
) -> None:
    profiles = data.draw(st.lists(fitting(inputs), max_size=2))
    completed, refusal = _completed(inputs, profiles, largest)
    if refusal:
        named = any(f"input '{each.name}'" in refusal for each in inputs if each.dynamic)
        assert named or refusal.startswith(f"max_batch_size={largest}, but")
        return
    dynamic = {each.name for each in inputs if each.dynamic}
    assert len(completed) == len(profiles) or (not profiles and len(completed) == bool(dynamic))
    for profile in completed:
        assert dynamic <= profile.shapes.keys()
        for each in inputs:
            if each.name in profile.shapes:
                _check(each, profile.shapes[each.name])


def _completed(
    inputs: Sequence[NetworkInput], profiles: Sequence[Profile], largest: int | None
) -> tuple[list[Profile], str]:
    """(profiles, why there are none)."""
    try:
        return complete(inputs, profiles, largest), ""
    except InvalidInput as error:
        return [], str(error)


def _check(each: NetworkInput, shapes: Shapes) -> None:
    assert shapes.problem() == ""
    assert len(shapes.max) == (each.values or len(each.shape))
    for dim, low, high in zip(each.shape, shapes.min, shapes.max, strict=False):
        if isinstance(dim, int) and not each.values:
            assert low == high == dim


@given(st.data(), networks())
def test_what_was_given_stays_as_it_is(data: st.DataObject, inputs: list[NetworkInput]) -> None:
    profile = data.draw(fitting(inputs))
    for completed in _completed(inputs, [profile], None)[0]:
        assert profile.shapes.items() <= completed.shapes.items()


def test_a_network_of_fixed_shapes_needs_none() -> None:
    assert complete([FIXED], [], 8) == []


@pytest.mark.parametrize(("largest", "most"), [(None, 32), (8, 8)])
def test_the_derived_profile_goes_from_one_row_to_the_largest_batch(
    largest: int | None, most: int
) -> None:
    assert complete([BATCHED, FIXED], [], largest) == [
        Profile({"b": Shapes((1, 4), (most, 4), (most, 4))})
    ]


def test_inputs_left_out_get_the_batch_of_those_that_are_given() -> None:
    (profile,) = complete([X, BATCHED], [Profile.parse("x:2x3x8/4x3x8/6x3x8")], 6)
    assert profile.shapes["b"] == Shapes((2, 4), (4, 4), (6, 4))


REFUSED: dict[str, tuple[NetworkInput, str, list[str]]] = {
    "an unknown name": (X, "y:1", ["input 'y'", "inputs are x"]),
    "too few axes": (X, "x:1x3", ["input 'x' has 3 axes [N, 3, width]", "gives 2"]),
    "too many axes": (X, "x:1x3x5x7", ["input 'x' has 3 axes", "gives 4"]),
    "a fixed axis": (X, "x:1x4x5", ["input 'x': axis 1 is fixed at 3", "4 to 4"]),
    "a fixed axis, in part": (X, "x:1x1x5/1x3x5/1x3x5", ["axis 1 is fixed at 3", "1 to 3"]),
    "a negative length": (X, "x:1x3x-1/1x3x5/1x3x5", ["input 'x': axis 2", "width", "-1"]),
    "a dynamic axis left out": (X, "", ["input 'x': axis 2", "width", "--profile x:"]),
    "an unnamed axis left out": (NetworkInput("z", (4, None)), "", ["input 'z': axis 1 is"]),
    "values left out": (VALUES, "", ["input 'shape' is a shape tensor of 2 value(s)"]),
    "too few values": (VALUES, "shape:1", ["input 'shape' has 2 values", "gives 1"]),
}


@pytest.mark.parametrize(("given", "text", "wanted"), REFUSED.values(), ids=REFUSED.keys())
def test_what_does_not_fit_names_input_and_axis(
    given: NetworkInput, text: str, wanted: list[str]
) -> None:
    with pytest.raises(InvalidInput) as caught:
        complete([given], [Profile.parse(text)] if text else [], None)
    assert not [word for word in wanted if word not in str(caught.value)], str(caught.value)


def test_the_example_in_a_refusal_is_a_profile_that_fits() -> None:
    with pytest.raises(InvalidInput) as caught:
        complete([X], [], 8)
    text = str(caught.value).split("Profile.parse('")[1].split("')")[0]
    assert complete([X], [Profile.parse(text)], None) == [Profile.parse(text)]


def test_values_may_be_negative() -> None:
    profile = Profile.parse("shape:-1x0/0x4/5x9")
    assert complete([VALUES], [profile], None) == [profile]
