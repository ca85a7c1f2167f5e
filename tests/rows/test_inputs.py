"""What a model is tried with: ranges by type and name, shapes that stay small, natural rows."""

from typing import Any

import numpy as np
import pytest

from trtasync.model.arrays import Array
from trtasync.model.tensors import TensorSpec
from trtasync.rows.drawing import MOST_ELEMENTS, RECIPES, Drawn, Recipe, drawn, undrawable
from trtasync.rows.inputs import MOST_ROWS, InputAxes, Natural, of_nan, scaled


def layout(**inputs: tuple[Any, tuple[Any, ...], int | None]) -> InputAxes:
    """Of inputs given as dtype, shape, batch axis."""
    specs = [TensorSpec(name, np.dtype(kind), shape) for name, (kind, shape, _) in inputs.items()]
    return InputAxes(tuple(specs), tuple(axis for _, _, axis in inputs.values()))


def rows(recipe: Recipe = RECIPES[0], count: int = 50, ints: int = 0, **inputs: Any) -> Array:
    """Many drawn rows of the first input, one array."""
    source = Drawn(layout(**inputs), recipe, np.random.default_rng(0))
    return np.stack([source.row(ints)[0] for _ in range(count)])


def test_rows_are_stacked_along_the_axis_of_each_input() -> None:
    shapes = layout(x=("f4", ("N", 3), 0), scale=("f4", (3,), None), state=("f4", (2, "N", 4), 1))
    source = Drawn(shapes, RECIPES[0], np.random.default_rng(0))
    batch = [source.row() for _ in range(5)]
    x, scale, state = shapes.stack(batch, source.shared)
    assert (x.shape, scale.shape, state.shape) == ((5, 3), (3,), (2, 5, 4))
    assert (x[4] == batch[4][0]).all()
    assert (state[:, 4] == batch[4][1]).all()
    assert scale is source.shared[0]


def test_every_recipe_has_its_own_length_for_free_axes() -> None:
    shapes = layout(x=("f4", ("N", 3, "T"), 0), y=("f4", ("N", "T"), 0), z=("f4", ("S",), None))
    lengths = []
    for source in drawn(shapes, np.random.default_rng(0)):
        x, y = source.row()
        assert x.shape[1:] == y.shape == source.shared[0].shape
        lengths.append(len(y))
    assert lengths == [64, 32, 512, 16, 8, 224, 16_000]


def test_without_free_axes_five_recipes_are_enough() -> None:
    assert len(list(drawn(layout(x=("f4", ("N", 3), 0)), np.random.default_rng(0)))) == 5


def test_free_axes_never_make_a_large_array() -> None:
    shapes = layout(x=("f4", ("N", "S", "S", "S"), 0), a=("f4", ("S", "S", "S"), None))
    for source in drawn(shapes, np.random.default_rng(0)):
        assert source.row()[0].size + source.shared[0].size <= MOST_ELEMENTS


def test_what_cannot_be_drawn_is_named() -> None:
    assert "(text)" in undrawable(layout(text=(object, ("N",), 0)), 3)
    assert "row of x" in undrawable(layout(x=("f4", ("N", 1 << 30), 0)), 3)
    assert undrawable(layout(x=("f4", (1 << 30, 4), 0)), 3) == ""


def test_more_than_there_is_memory_for_is_not_drawn() -> None:
    large = 1 << 24
    of_rows, of_all = ("f8", ("N", large), 0), ("f8", (large,), None)
    assert undrawable(layout(x=of_rows, table=of_all), 3) == ""
    assert "no memory" in undrawable(layout(x=of_rows, table=of_all), MOST_ROWS)
    assert undrawable(layout(x=("f8", ("N",), 0), table=of_all), MOST_ROWS) == ""


def test_floats_are_normal_then_uniform_then_about_one() -> None:
    x = ("f4", ("N", 1000), 0)
    normal, uniform, about_one = (rows(recipe, 3, x=x) for recipe in RECIPES[:3])
    assert normal.min() < -2
    assert 0 <= uniform.min() < uniform.max() <= 1
    assert abs(about_one.mean() - 1) < 0.1


def test_bytes_take_their_whole_range_and_other_integers_a_small_one() -> None:
    assert {0, 255} <= set(rows(image=("u1", ("N", 1000), 0)).ravel())
    assert {-128, 127} <= set(rows(q=("i1", ("N", 1000), 0)).ravel())
    assert set(rows(ids=("i8", ("N", 100), 0)).ravel()) == {0, 1}
    assert set(rows(flag=("?", ("N", 100), 0)).ravel()) == {False, True}


def test_wider_integers_are_only_for_those_that_can_be_no_sizes() -> None:
    assert 500 < rows(ints=1000, ids=("i8", ("N", 100), 0)).max() < 1000
    assert rows(ints=1000, count_of=("i8", ("N",), 0)).max() <= 1
    assert rows(ints=1000, token_type_ids=("i8", ("N", 100), 0)).max() <= 1


def test_names_say_what_integers_are() -> None:
    x = ("f4", ("N", 40), 0)
    lengths = rows(lengths=("i8", ("N",), 0), x=x)
    assert lengths.min() == 1
    assert lengths.max() > 20
    assert lengths.max() <= 40
    assert set(rows(sr=("i8", ("N",), 0)).ravel()) == {16_000}
    assert set(rows(sampling_rate=("i4", ("N",), 0)).ravel()) == {16_000}
    assert (rows(count=1, position_ids=("i8", ("N", 4), 0))[0] == [0, 1, 2, 3]).all()


@pytest.mark.parametrize("kind", ["i8", "f4", "?"])
def test_masks_are_ones_and_then_perhaps_zeros(kind: str) -> None:
    masks = rows(attention_mask=(kind, ("N", 10), 0))
    assert (masks[:, :5] == 1).all()
    assert (np.diff(masks.astype(int), axis=1) <= 0).all()
    assert (masks[:, 9] == 0).any()


def narrow_rows(count: int = 200, ints: int = 0, **inputs: Any) -> Array:
    """Many narrow rows of the first input, one array."""
    source = Drawn(layout(**inputs), RECIPES[0], np.random.default_rng(0))
    return np.stack([source.row(ints, narrow=True)[0] for _ in range(count)])


def test_narrow_masks_are_of_any_length_and_some_have_holes() -> None:
    masks = narrow_rows(attention_mask=(np.int64, ("N", 10), 0))
    lengths = masks.sum(1)
    assert set(lengths) == set(range(11))
    assert (lengths <= 2).mean() > 0.3
    holes = (np.diff(masks, axis=1) > 0).any(1)
    assert 0.2 < holes.mean() < 0.8
    assert narrow_rows(mask=(np.bool_, ("N", 0), 0)).shape == (200, 0)


def test_narrow_integers_are_all_alike_or_all_different_within_the_range() -> None:
    ids = narrow_rows(ints=1000, ids=(np.int64, ("N", 20), 0))
    different = [len(set(row)) for row in ids]
    assert min(different) == 1
    assert max(different) > 15
    assert 0 <= ids.min() < 50
    assert 950 < ids.max() < 1000
    pixels = narrow_rows(image=("u1", ("N", 20), 0))
    assert np.ptp(pixels, axis=1).min() < 10 < 200 < np.ptp(pixels, axis=1).max()


def test_narrow_floats_differ_as_a_whole() -> None:
    x = narrow_rows(x=("f4", ("N", 1000), 0))
    assert (x.std(1) < 0.4).all()
    assert x.mean(1).std() > 0.5


def test_rows_scaled_stay_finite_and_leave_integers_alone() -> None:
    wide, narrow, ids = scaled(
        (np.ones(3, np.float32), np.ones(3, np.float16), np.ones(3, np.int64)), 1e6
    )
    assert (wide == 1e6).all()
    assert 1e3 < narrow[0] < np.inf
    assert (ids == 1).all()


def test_rows_of_nan_have_their_integers_left() -> None:
    x, ids = of_nan((np.ones(3, np.float32), np.ones(3, np.int64)))
    assert np.isnan(x).all()
    assert (ids == 1).all()


def test_natural_rows_come_first_and_variations_then() -> None:
    shapes = layout(x=("f4", ("N", 4), 0), ids=("i8", ("N", 4), 0), k=("f4", (), None))
    x, ids = np.arange(8.0).reshape(2, 4), np.arange(8).reshape(2, 4)
    source = Natural(shapes, [x, ids, np.array(3.0)], np.random.default_rng(0))
    assert source.shared[0] == 3
    assert [
        (row[0] == x[i]).all() and (row[1] == ids[i]).all()
        for i in range(2)
        for row in [source.row()]
    ] == [True, True]
    for _ in range(20):
        varied, permuted = source.row()
        assert varied.dtype == np.float32
        assert sorted(permuted) in ([0, 1, 2, 3], [4, 5, 6, 7])
        near = x[0] if permuted.max() < 4 else x[1]
        assert 0 < np.abs(varied - near).max() < 3


def test_a_natural_row_needs_no_batch_axis_and_one_of_zeros_is_varied_too() -> None:
    shapes = layout(x=("f4", (4, "N"), 1))
    source = Natural(shapes, [np.zeros(4)], np.random.default_rng(0))
    assert (source.row()[0] == 0).all()
    assert (source.row()[0] != 0).all()
