"""Steps that look elements up, scatter them, or keep some of the rows."""

import numpy as np

from tests.rows.graphs.builder import BOOL, INT64, Builder
from tests.rows.graphs.elementwise import has_free_axes
from tests.rows.graphs.moves import another_axis
from tests.rows.graphs.values import ROWS, Value, ingredient


def places(g: Builder, x: Value, size: int) -> Value:
    """Whole numbers from 0 to size - 1 made of the values, also of those that are no numbers."""
    scaled = g.add("Mul", g.add("Sigmoid", x), float(size))
    return g.add("Mod", g.cast(scaled, np.int64), np.array(size, np.int64))


@ingredient("lookups")
def a_table(g: Builder, x: Value) -> Value | None:
    if x.rank > 3:
        return None
    where = places(g, x, 7)
    return g.add("Gather", g.weights(7, 3), where, shape=(*x.shape, 3), dtype=x.dtype, axis=0)


@ingredient("lookups")
def another_axis_reordered(g: Builder, x: Value) -> Value | None:
    axis = another_axis(g, x, 2)
    if axis is None:
        return None
    order = np.array([g.chance.randrange(x.length(axis)) for _ in range(4)], np.int64)
    return g.add("Gather", x, order, shape=x.resized(axis, 4), axis=axis)


@ingredient("lookups")
def one_of_another_axis(g: Builder, x: Value) -> Value | None:
    axis = another_axis(g, x)
    if axis is None or x.rank < 2:
        return None
    shape = (*x.shape[:axis], *x.shape[axis + 1 :])
    return g.add("Gather", x, np.array(g.chance.choice([0, -1])), shape=shape, axis=axis)


@ingredient("lookups")
def elements_of_the_same_row(g: Builder, x: Value) -> Value | None:
    axis = another_axis(g, x, 2)
    if axis is None:
        return None
    where = places(g, x, x.length(axis))
    return g.add("GatherElements", x, where, axis=axis)


@ingredient("lookups")
def slices_of_the_same_row(g: Builder, x: Value) -> Value | None:
    """`GatherND` with one batch dimension."""
    if x.batch != 0 or x.rank < 3 or g.opset < 12 or not isinstance(x.shape[1], int):
        return None
    key = g.reduce("ReduceSum", x, range(1, x.rank), keep=False)
    where = g.unsqueeze(places(g, key, x.length(1)), 1)
    return g.add("GatherND", x, where, shape=(ROWS, *x.shape[2:]), batch_dims=1)


@ingredient("lookups")
def scattered_within_a_row(g: Builder, x: Value) -> Value | None:
    axis = another_axis(g, x, 2)
    if axis is None:
        return None
    where = places(g, x, x.length(axis))
    single = g.slice(where, axis, 0, 1, x.resized(axis, 1))
    return g.add("ScatterElements", x, single, g.slice(x, axis, 1, 2, single.shape), axis=axis)


@ingredient("lookups")
def one_hot(g: Builder, x: Value) -> Value | None:
    if x.rank > 4:
        return None
    levels = np.array([0.0, 1.0], np.float32)
    depth = np.array(5, np.int64)
    where = places(g, x, 5)
    return g.add("OneHot", where, depth, levels, shape=(*x.shape, 5), dtype=np.float32)


@ingredient("lookups")
def all_rows_in_their_order(g: Builder, x: Value) -> Value:
    """Gathered along the batch by 0, 1, 2 ..., which changes nothing."""
    assert x.batch is not None
    count = g.squeeze(g.dimension(x, x.batch), 0)
    order = g.add("Range", np.int64(0), count, np.int64(1), shape=(ROWS,), dtype=INT64)
    return g.add("Gather", x, order, shape=x.shape, dtype=x.dtype, axis=x.batch)


# --------------------------------------------------------------------------------------- over rows


@ingredient("lookups", couples=True)
def rows_looked_up_in_each_other(g: Builder, x: Value) -> Value | None:
    """The rows are the table."""
    first = g.rows_first(x)
    if first.rank < 2:
        return None
    key = g.reduce("ReduceSum", first, range(1, first.rank), keep=False)
    coarse = places(g, key, 6)
    where = g.add("Mod", coarse, g.dimension(first, 0))
    return g.add("Gather", first, where, axis=0, shape=first.shape)


@ingredient("lookups", couples=True)
def the_first_row_looked_up(g: Builder, x: Value) -> Value:
    assert x.batch is not None
    row = g.add("Gather", x, np.array([0]), shape=x.resized(x.batch, 1), axis=x.batch)
    return g.add("Sub", x, row, shape=x.shape)


@ingredient("lookups", couples=True)
def elements_of_other_rows(g: Builder, x: Value) -> Value:
    assert x.batch is not None
    where = g.add("Mod", places(g, x, 6), g.dimension(x, x.batch))
    return g.add("GatherElements", x, where, axis=x.batch)


@ingredient("lookups", couples=True)
def slices_of_other_rows(g: Builder, x: Value) -> Value | None:
    """`GatherND` without batch dimensions."""
    first = g.rows_first(x)
    if first.rank < 2 or g.opset < 12:
        return None
    key = g.reduce("ReduceMax", first, range(1, first.rank), keep=False)
    where = g.unsqueeze(g.add("Mod", places(g, key, 6), g.dimension(first, 0)), 1)
    return g.add("GatherND", first, where, shape=first.shape)


@ingredient("lookups", couples=True)
def scattered_over_the_batch(g: Builder, x: Value) -> Value:
    """The largest that lands on an element stays, wherever it came from."""
    assert x.batch is not None
    where = g.add("Mod", places(g, x, 6), g.dimension(x, x.batch))
    if g.opset < 18:
        one = g.slice(where, x.batch, 0, 1, x.resized(x.batch, 1))
        source = g.slice(x, x.batch, -1, 2**63 - 1, one.shape)
        return g.add("ScatterElements", x, one, source, axis=x.batch)
    return g.add("ScatterElements", x, where, x, axis=x.batch, reduction="max")


@ingredient("lookups", couples=True)
def only_rows_with_a_large_sum(g: Builder, x: Value) -> Value | None:
    """How many are left depends on the values."""
    first = g.rows_first(x)
    if first.rank < 2:
        return None
    key = g.reduce("ReduceSum", first, range(1, first.rank), keep=False)
    large = g.add("Greater", key, 0.0, dtype=BOOL)
    few = ("fewer", *first.shape[1:])
    if g.chance.random() < 0.5:
        return g.add("Compress", first, large, shape=few, axis=0)
    found = g.add("NonZero", large, shape=(1, "fewer"), dtype=INT64)
    return g.add("Gather", first, g.squeeze(found, 0), shape=few, axis=0)


@ingredient("lookups", couples=True)
def only_different_numbers(g: Builder, x: Value) -> Value | None:
    if has_free_axes(x):
        return None
    return g.add("Unique", g.add("Round", x), shape=("fewer",), sorted=1)


@ingredient("lookups", couples=True)
def the_order_of_all_numbers(g: Builder, x: Value) -> Value | None:
    """The rank of each number among all: `Unique`'s inverse indices."""
    if has_free_axes(x) or x.batch is None:
        return None
    shapes = [("fewer",), None, ("all",), None]
    outputs = g.many("Unique", x, shapes=shapes, dtypes=[x.dtype, INT64, INT64, INT64])
    back = g.add("Reshape", outputs[2], g.lengths(x.shape, x), shape=x.shape)
    return g.cast(back, np.float32)


@ingredient("lookups")
def large_numbers_overwritten(g: Builder, x: Value) -> Value:
    """What a mask in brackets becomes: their number depends on all rows, the result does not."""
    large = g.add("Greater", x, 0.4, dtype=BOOL)
    where = g.transpose(g.add("NonZero", large, shape=(x.rank, "few"), dtype=INT64), [1, 0])
    count = g.dimension(where, 0)
    halves = g.add("Expand", np.array([0.5], np.float32), count, shape=("few",), dtype=x.dtype)
    return g.add("ScatterND", x, where, halves)


@ingredient("lookups")
def each_row_by_its_number(g: Builder, x: Value) -> Value | None:
    """`GatherND` with the pair of a row's number and a place that the row chose."""
    first = g.rows_first(x)
    if first.rank < 2 or not isinstance(first.shape[1], int):
        return None
    key = g.reduce("ReduceSum", first, range(1, first.rank), keep=False)
    place = g.unsqueeze(places(g, key, first.length(1)), 1)
    count = g.squeeze(g.dimension(first, 0), 0)
    number = g.unsqueeze(
        g.add("Range", np.int64(0), count, np.int64(1), shape=(ROWS,), dtype=INT64), 1
    )
    pair = g.add("Concat", number, place, shape=(ROWS, 2), axis=1)
    return g.add("GatherND", first, pair, shape=(ROWS, *first.shape[2:]))


@ingredient("lookups", couples=True)
def rows_chosen_by_a_shared_number(g: Builder, x: Value) -> Value | None:
    """The row of that number, for all."""
    assert x.batch is not None
    whole = [value for value in g.shared if value.dtype == INT64]
    if not whole:
        return None
    where = g.unsqueeze(g.add("Mod", whole[0], g.squeeze(g.dimension(x, x.batch), 0)), 0)
    row = g.add("Gather", x, where, shape=x.resized(x.batch, 1), axis=x.batch)
    return g.add("Sub", x, row, shape=x.shape)
