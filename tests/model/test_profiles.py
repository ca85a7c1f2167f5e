"""Profiles as values; tests/plans/test_resolve.py completes them for a network."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trtasync import InvalidInput, Profile, Shapes
from trtasync.model.profiles import LARGEST_DIM, MAX_DIMS, read_profiles

DIMS = st.integers(-5, LARGEST_DIM)
NAMES = st.one_of(
    st.text(min_size=1, max_size=8),
    st.text("':, x/", min_size=1, max_size=6),
    st.sampled_from(["input:0", "a,b", "it's", " x ", "''", "x'", "'x", "serving_default_x:0"]),
)


@st.composite
def ranges(draw: st.DrawFn, rank: int | None = None) -> Shapes:
    """Shapes that are possible."""
    length = draw(st.integers(1, MAX_DIMS)) if rank is None else rank
    three = [sorted(draw(st.tuples(DIMS, DIMS, DIMS))) for _ in range(length)]
    low, best, high = zip(*three, strict=True)
    return Shapes(low, best, high)


PROFILES = st.dictionaries(NAMES, ranges(), min_size=1, max_size=4).map(Profile)


# -- text -----------------------------------------------------------------------------------------


@given(PROFILES)
def test_a_profile_is_what_its_text_says(profile: Profile) -> None:
    assert Profile.parse(str(profile)) == profile


@given(PROFILES)
def test_a_profile_is_what_its_three_texts_say(profile: Profile) -> None:
    three = [
        str(Profile({n: Shapes.only(getattr(s, which)) for n, s in profile.shapes.items()}))
        for which in ("min", "opt", "max")
    ]
    assert Profile.parse_three(*three) == profile


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("x:1x3x224x224", {"x": Shapes.only((1, 3, 224, 224))}),
        ("x:1x3/8x3/64x3", {"x": Shapes((1, 3), (8, 3), (64, 3))}),
        ("x:1x3, y:2x4", {"x": Shapes.only((1, 3)), "y": Shapes.only((2, 4))}),
        ("'input:0':5", {"input:0": Shapes.only((5,))}),
        ("'it''s':5", {"it's": Shapes.only((5,))}),
        ("values:-1x2/0x2/3x2", {"values": Shapes((-1, 2), (0, 2), (3, 2))}),
    ],
)
def test_trtexecs_form_is_read(text: str, shapes: dict[str, Shapes]) -> None:
    assert Profile.parse(text).shapes == shapes


BAD_TEXTS = {
    "": "name:1x3x224x224",
    "x": "'x'",
    "x:": "input 'x': ''",
    ":1x3": "name:MIN/OPT/MAX",
    "x:1xZ": "'1xZ' is not a shape",
    "x:1/2": "2 shapes",
    "x:1/2/3/4": "4 shapes",
    "x:1x3/2/3x3": "different numbers of axes",
    "x:4/2/8": "axis 0: min 4 <= opt 2",
    "x:1x3,x:2x3": "'x' twice",
    "'x:1": "name:MIN/OPT/MAX",
    "x:1,,y:2": "',y:2'",
}


@pytest.mark.parametrize(("text", "reason"), BAD_TEXTS.items())
def test_what_cannot_be_read_is_told(text: str, reason: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Profile.parse(text)
    assert reason in str(caught.value)


@given(st.text(max_size=30))
def test_any_text_is_a_profile_or_refused(text: str) -> None:
    try:
        profile = Profile.parse(text)
    except InvalidInput:
        return
    assert Profile.parse(str(profile)) == profile


def test_three_texts_must_name_the_same_inputs() -> None:
    with pytest.raises(InvalidInput, match=r"same inputs; they name \[\['x'\], \['x'\], \['y'\]\]"):
        Profile.parse_three("x:1", "x:2", "y:3")


# -- values ---------------------------------------------------------------------------------------

LISTS = st.lists(st.integers(-(2**40), 2**40), max_size=MAX_DIMS + 2)


@given(LISTS, LISTS, LISTS)
def test_what_is_impossible_about_shapes_is_found(
    low: list[int], best: list[int], high: list[int]
) -> None:
    possible = (
        len(low) == len(best) == len(high) <= MAX_DIMS
        and all(
            -LARGEST_DIM - 1 <= a <= b <= c <= LARGEST_DIM
            for a, b, c in zip(low, best, high, strict=True)
        )
    )  # fmt: skip
    problem = Shapes(tuple(low), tuple(best), tuple(high)).problem()
    assert (problem == "") == possible


@given(ranges())
def test_shapes_allow_their_own_ends(shapes: Shapes) -> None:
    assert shapes.problem() == ""
    assert all(map(shapes.allows, (shapes.min, shapes.opt, shapes.max)))
    assert not shapes.allows((*shapes.max[:-1], shapes.max[-1] + 1))
    assert shapes.distance(shapes.opt) == 0


@pytest.mark.parametrize(
    ("axis", "three"),
    [
        (0, ((3, 1), (2, 1), (4, 1))),
        (1, ((1, 1), (1, 5), (1, 4))),
        (1, ((1, 1), (1, 1), (1, 2**31))),
    ],
)
def test_a_range_that_is_none_names_input_and_axis(axis: int, three: Any) -> None:
    with pytest.raises(InvalidInput, match=rf"input 'image': axis {axis}"):
        Profile({"image": Shapes(*three)})


def test_too_many_axes_are_refused() -> None:
    with pytest.raises(InvalidInput, match="input 'x': it has 9 axes; TensorRT knows 8"):
        Profile({"x": Shapes.only((1,) * 9)})


@pytest.mark.parametrize(
    "shape", ["1x3", b"13", 5, None, (1.5, 2), (True, 2), (float("nan"),), (float("inf"),), ("a",)]
)
def test_what_is_no_shape_is_refused(shape: Any) -> None:
    with pytest.raises(InvalidInput, match="must be a shape"):
        Shapes.only(shape)


def test_whole_numbers_of_any_kind_make_a_shape() -> None:
    kinds: list[Any] = [np.array([1, 3]), [1.0, np.int64(3)], (1, 3)]
    assert [Shapes.only(kind).max for kind in kinds] == [(1, 3)] * 3


@pytest.mark.parametrize("given", [5, {"x": (1, 2)}, {5: Shapes.only((1,))}, [("x", 1)]])
def test_what_maps_no_names_to_shapes_is_refused(given: Any) -> None:
    with pytest.raises(InvalidInput, match="maps input names to Shapes"):
        Profile(given)


def test_profiles_are_taken_in_any_form() -> None:
    one = Profile.parse("x:1x3")
    assert read_profiles(None) == ()
    assert read_profiles(one) == read_profiles("x:1x3") == read_profiles(["x:1x3"]) == (one,)
    assert read_profiles((one, "y:2")) == (one, Profile.parse("y:2"))


@pytest.mark.parametrize("given", [5, [5], {"x": Shapes.only((1,))}])
def test_what_is_no_profile_is_refused(given: Any) -> None:
    with pytest.raises(InvalidInput, match="profile"):
        read_profiles(given)
