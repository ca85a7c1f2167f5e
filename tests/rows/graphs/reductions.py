"""Steps that reduce, sort, add up along an axis or make it sum to one."""

from typing import Any

import numpy as np

from tests.rows.graphs.builder import BOOL, INT64, Builder, Operand
from tests.rows.graphs.values import ROWS, Value, ingredient

REDUCTIONS = [
    "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceLogSumExp",
    "ReduceSumSquare",
]  # fmt: skip
SOFTMAX = ["Softmax", "LogSoftmax"]


def other(g: Builder, x: Value, smallest: int = 2) -> int | None:
    """An axis that is not the batch's and long enough to matter."""
    axes = [axis for axis in x.others if axis not in x.fixed or x.length(axis) >= smallest]
    return g.chance.choice(axes) if axes else None


def signed(g: Builder, x: Value, axis: int) -> int:
    """The axis, sometimes counted from the end."""
    return axis - x.rank if g.chance.random() < 0.3 else axis


# ------------------------------------------------------------------------------------- reductions


@ingredient("reductions")
def a_reduction_within_a_row(g: Builder, x: Value) -> Value | None:
    if x.rank < 2:
        return None
    axes = g.chance.sample(x.others, g.chance.randint(1, len(x.others)))
    op = g.chance.choice(REDUCTIONS)
    return g.reduce(op, x, sorted(axes), keep=g.chance.random() < 0.6)


@ingredient("reductions")
def standardised_within_a_row(g: Builder, x: Value) -> Value | None:
    if x.rank < 2:
        return None
    centred = g.add("Sub", x, g.reduce("ReduceMean", x, x.others), shape=x.shape)
    spread = g.reduce("ReduceL2", centred, x.others)
    return g.add("Div", centred, g.add("Add", spread, 0.1), shape=x.shape)


@ingredient("reductions")
def a_floor_below_the_maximum_of_a_row(g: Builder, x: Value) -> Value | None:
    if x.rank < 2:
        return None
    floor = g.add("Sub", g.reduce("ReduceMax", x, x.others), 1.0)
    return g.add("Max", x, floor, shape=x.shape)


@ingredient("reductions")
def the_place_of_the_largest(g: Builder, x: Value) -> Value | None:
    axis = other(g, x)
    if axis is None:
        return None
    keep = g.chance.randint(0, 1)
    shape = x.resized(axis, 1) if keep else (*x.shape[:axis], *x.shape[axis + 1 :])
    op = g.chance.choice(["ArgMax", "ArgMin"])
    where = g.add(op, x, shape=shape, dtype=INT64, axis=signed(g, x, axis), keepdims=keep)
    return where if g.chance.random() < 0.3 else g.cast(where, np.float32)


@ingredient("reductions")
def the_mean_of_the_only_row_of_each(g: Builder, x: Value) -> Value:
    """A reduction over no axes at all, which keeps everything."""
    if g.opset < 18:
        return g.add("Mean", x)
    axes = np.zeros(0, np.int64)
    return g.add("ReduceMean", x, axes, noop_with_empty_axes=1)


@ingredient("reductions", couples=True)
def the_mean_of_the_batch_taken_off(g: Builder, x: Value) -> Value:
    assert x.batch is not None
    summary = g.reduce(g.chance.choice(REDUCTIONS), x, [x.batch])
    return g.add(g.chance.choice(["Sub", "Mul", "Add", "Max"]), x, summary, shape=x.shape)


@ingredient("reductions", couples=True)
def a_floor_below_the_maximum_of_the_batch(g: Builder, x: Value) -> Value:
    floor = g.add("Sub", g.summary("ReduceMax", x), g.chance.choice([0.5, 1.0]))
    return g.add("Max", x, floor, shape=x.shape)


@ingredient("reductions", couples=True)
def one_scale_for_the_batch(g: Builder, x: Value) -> Value:
    top = g.summary("ReduceMax", g.add("Abs", x), keep=g.chance.random() < 0.5)
    return g.add("Div", x, g.add("Add", top, 0.01), shape=x.shape)


@ingredient("reductions", couples=True)
def standardised_over_the_batch(g: Builder, x: Value) -> Value:
    assert x.batch is not None
    centred = g.add("Sub", x, g.reduce("ReduceMean", x, [x.batch]), shape=x.shape)
    spread = g.reduce("ReduceL2", centred, [x.batch])
    return g.add("Div", centred, g.add("Add", spread, 0.1), shape=x.shape)


@ingredient("reductions", couples=True)
def a_sum_over_the_batch(g: Builder, x: Value) -> Value:
    """Nothing is left that rows could lie along."""
    assert x.batch is not None
    return g.reduce(g.chance.choice(REDUCTIONS), x, [x.batch], keep=g.chance.random() < 0.5)


@ingredient("reductions", couples=True)
def one_number_for_all(g: Builder, x: Value) -> Value:
    return g.summary(g.chance.choice(REDUCTIONS), x)


@ingredient("reductions", couples=True)
def the_row_with_the_largest_number(g: Builder, x: Value) -> Value | None:
    first = g.rows_first(x)
    if first.rank < 2:
        return None
    totals = g.reduce("ReduceSum", first, range(1, first.rank), keep=False)
    best = g.add("ArgMax", totals, shape=(1,), dtype=INT64, axis=0)
    row = g.add("Gather", first, best, shape=(1, *first.shape[1:]), axis=0)
    return g.rows_back(g.add("Sub", first, row, shape=first.shape), x)


# ------------------------------------------------------------------------------ sorts, running sums


@ingredient("sorts")
def the_largest_within_a_row(g: Builder, x: Value) -> Value | None:
    axis = other(g, x)
    if axis is None or axis not in x.fixed:
        return None
    count = g.chance.randint(1, x.length(axis))
    return top(g, x, axis, np.array([count], np.int64), count)


@ingredient("sorts")
def all_of_a_row_sorted(g: Builder, x: Value) -> Value | None:
    axis = other(g, x)
    if axis is None:
        return None
    return top(g, x, axis, g.dimension(x, axis), x.shape[axis])


@ingredient("sorts", couples=True)
def the_batch_sorted(g: Builder, x: Value) -> Value:
    assert x.batch is not None
    return top(g, x, x.batch, g.dimension(x, x.batch), ROWS)


@ingredient("sorts", couples=True)
def rows_in_the_order_of_their_scores(g: Builder, x: Value) -> Value | None:
    """As a detector sorts its boxes."""
    first = g.rows_first(x)
    if first.rank < 2:
        return None
    score = g.reduce("ReduceSum", first, range(1, first.rank), keep=False)
    _, order = g.many(
        "TopK", score, g.dimension(first, 0), shapes=[(ROWS,), (ROWS,)], dtypes=[x.dtype, INT64]
    )
    return g.rows_back(g.add("Gather", first, order, axis=0), x)


@ingredient("sorts", couples=True)
def the_best_row_for_all(g: Builder, x: Value) -> Value:
    assert x.batch is not None
    best = top(g, x, x.batch, np.array([1], np.int64), 1, values=True)
    return g.add("Sub", x, best, shape=x.shape)


def top(
    g: Builder, x: Value, axis: int, count: Operand, dim: int | str, values: bool | None = None
) -> Value:
    """The largest or smallest along an axis, or their places."""
    shape = x.resized(axis, dim)
    best, where = g.many(
        "TopK", x, count,
        shapes=[shape, shape], dtypes=[x.dtype, INT64],
        axis=signed(g, x, axis), largest=g.chance.randint(0, 1), sorted=1,
    )  # fmt: skip
    if values or g.chance.random() < 0.6:
        return best
    return where if g.chance.random() < 0.5 else g.cast(where, np.float32)


@ingredient("running sums")
def a_running_sum_within_a_row(g: Builder, x: Value) -> Value | None:
    axis = other(g, x)
    return None if axis is None else running_sum(g, x, axis)


@ingredient("running sums", couples=True)
def a_running_sum_over_the_batch(g: Builder, x: Value) -> Value:
    assert x.batch is not None
    return running_sum(g, x, x.batch)


def running_sum(g: Builder, x: Value, axis: int) -> Value:
    """Either way, with or without the element itself."""
    kind: dict[str, Any] = {"exclusive": g.chance.randint(0, 1), "reverse": g.chance.randint(0, 1)}
    place = np.array(signed(g, x, axis), np.int64)
    return g.add("Mul", g.add("CumSum", x, place, **kind), 0.3)


# ---------------------------------------------------------------------------------------- softmax


@ingredient("softmax")
def softmax_within_a_row(g: Builder, x: Value) -> Value | None:
    """Up to opset 12 it runs over the given axis and all that follow."""
    axis = other(g, x)
    if axis is None or (g.opset < 13 and x.batch is not None and axis <= x.batch):
        return None
    return g.add(g.chance.choice(SOFTMAX), x, axis=signed(g, x, axis))


@ingredient("softmax")
def the_default_softmax(g: Builder, x: Value) -> Value | None:
    """The last axis from opset 13, all but the first before."""
    fits = x.batch == 0 if g.opset < 13 else x.batch != x.rank - 1
    return g.add("Softmax", x) if fits and x.rank > 1 else None


@ingredient("softmax")
def one_for_the_largest(g: Builder, x: Value) -> Value | None:
    axis = other(g, x)
    if axis is None or g.opset < 13:
        return None
    return g.add("Mul", g.add("Hardmax", x, axis=axis), x)


@ingredient("softmax", couples=True)
def softmax_over_the_batch(g: Builder, x: Value) -> Value:
    assert x.batch is not None
    return g.add(g.chance.choice(SOFTMAX), x, axis=signed(g, x, x.batch))


@ingredient("softmax", couples=True)
def softmax_over_all_that_follows(g: Builder, x: Value) -> Value | None:
    """Up to opset 12, from an axis before the batch's."""
    if g.opset >= 13 or not x.batch:
        return None
    return g.add("Softmax", x, axis=g.chance.randint(0, x.batch - 1))


@ingredient("softmax", couples=True)
def the_default_softmax_along_the_batch(g: Builder, x: Value) -> Value | None:
    fits = bool(x.batch) if g.opset < 13 else x.batch == x.rank - 1
    return g.add("Softmax", x) if fits and x.rank > 1 else None


@ingredient("softmax", couples=True)
def the_winner_takes_all(g: Builder, x: Value) -> Value | None:
    assert x.batch is not None
    if g.opset < 13:
        return None
    return g.add("Mul", g.add("Hardmax", x, axis=x.batch), x)


@ingredient("reductions", couples=True)
def a_threshold_at_the_mean_of_all(g: Builder, x: Value) -> Value:
    high = g.add("Greater", x, g.summary("ReduceMean", x), dtype=BOOL, shape=x.shape)
    return g.add("Where", high, x, 0.0, shape=x.shape, dtype=x.dtype)
