"""Steps that move elements about: the batch axis goes along, or is mixed with another."""

from typing import Any

import numpy as np

from tests.rows.graphs.builder import BACKWARD, INT64, Builder, ends
from tests.rows.graphs.elementwise import has_free_axes
from tests.rows.graphs.values import FREE, ROWS, Value, ingredient


def another_axis(g: Builder, x: Value, smallest: int = 1) -> int | None:
    """One of known length that is not the batch's."""
    axes = [axis for axis in x.fixed if x.length(axis) >= smallest]
    return g.chance.choice(axes) if axes else None


# ------------------------------------------------------------------------------------- along rows


@ingredient("layout")
def axes_in_another_order(g: Builder, x: Value) -> Value:
    perm = list(range(x.rank))
    g.chance.shuffle(perm)
    return g.transpose(x, perm)


@ingredient("layout")
def there_and_back(g: Builder, x: Value) -> Value:
    first = g.rows_first(x)
    return g.rows_back(g.add("Tanh", first), x)


@ingredient("layout")
def folding_an_axis_into_the_batch_and_back(g: Builder, x: Value) -> Value | None:
    first = g.rows_first(x)
    if first.rank < 3 or not {1, first.rank - 1} <= {*first.fixed}:
        return None
    width = first.length(-1)
    folded = g.reshape(first, ("many", *first.shape[2:]))
    mixed = g.add("MatMul", folded, g.weights(width, width, scale=width**-0.5))
    mixed = g.add(g.chance.choice(["Softmax", "LogSoftmax"]), mixed, axis=mixed.rank - 1)
    return g.rows_back(g.reshape(mixed, first.shape), x)


@ingredient("layout")
def folding_two_axes(g: Builder, x: Value) -> Value | None:
    pairs = [(i, i + 1) for i in x.fixed if i + 1 in x.fixed]
    if not pairs:
        return None
    i, j = g.chance.choice(pairs)
    return g.reshape(x, (*x.shape[:i], x.length(i) * x.length(j), *x.shape[j + 1 :]))


@ingredient("layout")
def flattening(g: Builder, x: Value) -> Value | None:
    if x.batch != 0 or FREE in x.shape or x.rank < 2:
        return None
    width = int(np.prod([x.length(axis) for axis in x.others]))
    return g.add("Flatten", x, shape=(ROWS, width), axis=g.chance.choice([1, 1 - x.rank]))


@ingredient("layout")
def one_more_axis(g: Builder, x: Value) -> Value | None:
    return g.unsqueeze(x, g.chance.randint(0, x.rank)) if x.rank < 5 else None


@ingredient("layout")
def one_less_axis(g: Builder, x: Value) -> Value | None:
    ones = [axis for axis in x.fixed if x.length(axis) == 1]
    return g.squeeze(x, g.chance.choice(ones)) if ones else None


@ingredient("layout")
def splitting_an_axis_in_two(g: Builder, x: Value) -> Value | None:
    axis = another_axis(g, x, 4)
    if axis is None or x.length(axis) % 2 or x.rank > 4:
        return None
    half = x.length(axis) // 2
    return g.reshape(x, (*x.shape[:axis], 2, half, *x.shape[axis + 1 :]))


@ingredient("slices")
def part_of_another_axis(g: Builder, x: Value) -> Value | None:
    axis = another_axis(g, x, 3)
    if axis is None:
        return None
    start, end = g.chance.choice([(1, 2**31 - 1), (0, -1)])
    return g.slice(x, axis, start, end, x.resized(axis, x.length(axis) - 1))


@ingredient("slices")
def another_axis_backward(g: Builder, x: Value) -> Value | None:
    if x.rank < 2:
        return None
    axis = g.chance.choice(x.others)
    return g.slice(x, axis, -1, BACKWARD, x.shape, step=-1)


@ingredient("slices")
def the_whole_batch_by_a_slice(g: Builder, x: Value) -> Value:
    assert x.batch is not None
    return g.slice(x, x.batch, 0, 2**63 - 1, x.shape)


@ingredient("slices")
def halves_exchanged(g: Builder, x: Value) -> Value | None:
    axis = another_axis(g, x, 2)
    if axis is None or x.length(axis) % 2:
        return None
    half = x.resized(axis, x.length(axis) // 2)
    more: dict[str, Any] = {"num_outputs": 2} if g.opset >= 18 else {}
    left, right = g.many("Split", x, shapes=[half, half], axis=axis, **more)
    return g.add("Concat", right, left, shape=x.shape, axis=axis)


@ingredient("slices")
def joined_with_itself(g: Builder, x: Value) -> Value | None:
    axis = another_axis(g, x)
    if axis is None or x.length(axis) > 16:
        return None
    twice = x.resized(axis, 2 * x.length(axis))
    return g.add("Concat", x, g.add("Neg", x), shape=twice, axis=axis - x.rank)


@ingredient("slices")
def repeated_along_another_axis(g: Builder, x: Value) -> Value | None:
    axis = another_axis(g, x)
    if axis is None or x.length(axis) > 16:
        return None
    repeats = np.ones(x.rank, np.int64)
    repeats[axis] = 2
    return g.add("Tile", x, repeats, shape=x.resized(axis, 2 * x.length(axis)))


@ingredient("slices")
def padding_another_axis(g: Builder, x: Value) -> Value | None:
    axis = another_axis(g, x, 2)
    if axis is None or x.length(axis) > 24:
        return None
    shape = x.resized(axis, x.length(axis) + 2)
    mode = g.chance.choice(["constant", "edge", "reflect"])
    return g.add("Pad", x, ends(x.rank, axis, 1, 1), shape=shape, mode=mode)


@ingredient("slices")
def padding_the_batch_and_cutting_it_off(g: Builder, x: Value) -> Value:
    assert x.batch is not None
    longer = g.add("Pad", x, ends(x.rank, x.batch, 1, 2), shape=x.resized(x.batch, "longer"))
    return g.slice(longer, x.batch, 1, -2, x.shape)


@ingredient("slices")
def a_token_before_the_batch_cut_off_again(g: Builder, x: Value) -> Value | None:
    assert x.batch is not None
    if has_free_axes(x):
        return None
    row = g.weights(*(1 if dim == ROWS else int(dim) for dim in x.shape))
    longer = g.add("Concat", row, x, shape=x.resized(x.batch, "longer"), axis=x.batch)
    return g.slice(longer, x.batch, 1, 2**63 - 1, x.shape)


@ingredient("slices")
def the_batch_backward_twice(g: Builder, x: Value) -> Value:
    assert x.batch is not None
    back = g.slice(x, x.batch, -1, BACKWARD, x.shape, step=-1)
    return g.slice(g.add("Sigmoid", back), x.batch, -1, BACKWARD, x.shape, step=-1)


# -------------------------------------------------------------------------------------- over rows


@ingredient("slices", couples=True)
def the_batch_backward(g: Builder, x: Value) -> Value:
    assert x.batch is not None
    return g.slice(x, x.batch, -1, BACKWARD, x.shape, step=-1)


@ingredient("slices", couples=True)
def the_batch_rolled_by_one(g: Builder, x: Value) -> Value:
    assert x.batch is not None
    head = g.slice(x, x.batch, 0, -1, x.resized(x.batch, "fewer"))
    tail = g.slice(x, x.batch, -1, 2**63 - 1, x.resized(x.batch, 1))
    return g.add("Concat", tail, head, shape=x.shape, axis=x.batch)


@ingredient("slices", couples=True)
def the_batch_shifted_by_padding(g: Builder, x: Value) -> Value:
    assert x.batch is not None
    longer = g.add("Pad", x, ends(x.rank, x.batch, 1, 0), shape=x.resized(x.batch, "longer"))
    shifted = g.slice(longer, x.batch, 0, -1, x.shape)
    return g.add("Add", x, shifted) if g.chance.random() < 0.5 else shifted


@ingredient("slices", couples=True)
def the_difference_to_the_first_row(g: Builder, x: Value) -> Value:
    assert x.batch is not None
    first = g.slice(x, x.batch, 0, 1, x.resized(x.batch, 1))
    return g.add("Sub", x, first)


@ingredient("slices", couples=True)
def the_last_row_for_all(g: Builder, x: Value) -> Value:
    assert x.batch is not None
    last = g.slice(x, x.batch, -1, 2**63 - 1, x.resized(x.batch, 1))
    wide = g.add("Expand", last, g.add("Shape", x, dtype=INT64, shape=(x.rank,)), shape=x.shape)
    return g.add("Add", wide, x) if g.chance.random() < 0.5 else wide


@ingredient("slices", couples=True)
def more_rows_than_came(g: Builder, x: Value) -> Value:
    """Each row several times, or a token before the first."""
    assert x.batch is not None
    longer = x.resized(x.batch, "longer")
    if g.chance.random() < 0.5:
        repeats = np.where(np.arange(x.rank) == x.batch, 2, 1).astype(np.int64)
        return g.add("Tile", x, repeats, shape=longer)
    return g.add("Pad", x, ends(x.rank, x.batch, 1, 0), shape=longer)


@ingredient("slices", couples=True)
def every_other_row(g: Builder, x: Value) -> Value:
    assert x.batch is not None
    fewer = x.resized(x.batch, "fewer")
    return g.slice(x, x.batch, 0, 2**63 - 1, fewer, step=2)


@ingredient("layout", couples=True)
def a_reshape_that_should_be_a_transpose(g: Builder, x: Value) -> Value | None:
    axis = another_axis(g, x, 2)
    if axis is None or x.batch is None:
        return None
    shape = list(x.shape)
    shape[axis], shape[x.batch] = shape[x.batch], shape[axis]
    if abs(axis - x.batch) != 1 and g.chance.random() < 0.5:
        return None
    mixed = g.reshape(x, tuple(shape))
    if g.chance.random() < 0.5:
        return mixed
    perm = list(range(x.rank))
    perm[axis], perm[x.batch] = perm[x.batch], perm[axis]
    return g.transpose(mixed, perm)


@ingredient("layout", couples=True)
def softmax_over_a_folded_batch(g: Builder, x: Value) -> Value | None:
    first = g.rows_first(x)
    if first.rank < 3 or not isinstance(first.shape[1], int) or g.opset < 13:
        return None
    folded = g.reshape(first, ("many", *first.shape[2:]))
    return g.rows_back(g.reshape(g.add("Softmax", folded, axis=0), first.shape), x)


@ingredient("layout", couples=True)
def the_batch_left_folded(g: Builder, x: Value) -> Value | None:
    first = g.rows_first(x)
    if first.rank < 2 or not isinstance(first.shape[1], int) or first.length(1) < 2:
        return None
    return g.reshape(first, ("many", *first.shape[2:]))


@ingredient("layout", couples=True)
def rows_flattened_from_the_wrong_axis(g: Builder, x: Value) -> Value | None:
    """`Flatten(axis=2)` of a batch that lies along axis 1 does not part the rows."""
    if x.batch != 1 or FREE in x.shape or x.rank < 3:
        return None
    width = int(np.prod([x.length(axis) for axis in range(2, x.rank)]))
    if x.length(0) < 2:
        return None
    return g.add("Flatten", x, shape=("many", width), axis=2)


@ingredient("slices", couples=True)
def the_batch_shifted_by_negative_padding(g: Builder, x: Value) -> Value:
    assert x.batch is not None
    return g.add("Pad", x, ends(x.rank, x.batch, 1, -1))


@ingredient("layout", couples=True)
def softmax_over_everything_flattened(g: Builder, x: Value) -> Value:
    flat = g.add("Flatten", x, shape=(1, "all"), axis=0)
    return g.add("Reshape", g.add("Softmax", flat), g.lengths(x.shape, x), shape=x.shape)
