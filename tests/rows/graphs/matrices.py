"""Steps that multiply matrices: by constants, within a row, and between rows."""

import numpy as np

from tests.rows.graphs.builder import Builder
from tests.rows.graphs.elementwise import has_free_axes
from tests.rows.graphs.values import ROWS, Value, ingredient


def rows_inside(g: Builder, x: Value) -> Value:
    """The batch axis at the place before the last, so that matrices multiply over it."""
    assert x.batch is not None
    rest = [axis for axis in x.others if axis != x.others[-1]]
    return g.transpose(x, [*rest, x.batch, x.others[-1]])


@ingredient("matmul")
def a_linear_layer(g: Builder, x: Value) -> Value | None:
    if x.rank < 2 or not isinstance(x.shape[-1], int):
        return None
    width, wider = x.length(-1), g.chance.choice([3, 5, 8])
    y = g.add("MatMul", x, g.weights(width, wider, scale=width**-0.5), shape=x.resized(-1, wider))
    return g.add("Add", y, g.weights(wider))


@ingredient("matmul")
def a_matrix_from_the_left(g: Builder, x: Value) -> Value | None:
    if x.rank < 2 or not isinstance(x.shape[-2], int):
        return None
    width, wider = x.length(-2), g.chance.choice([2, 5, 7])
    matrix = g.weights(wider, width, scale=width**-0.5)
    return g.add("MatMul", matrix, x, shape=x.resized(x.rank - 2, wider))


@ingredient("matmul")
def gemm(g: Builder, x: Value) -> Value | None:
    if x.rank != 2 or has_free_axes(x):
        return None
    width, wider = x.length(x.others[0]), g.chance.choice([4, 6])
    turned = int(x.batch == 1)
    matrix = g.weights(wider, width, scale=width**-0.5)
    return g.add(
        "Gemm", x, matrix, g.weights(wider), shape=(ROWS, wider), transA=turned, transB=1, alpha=0.5
    )


@ingredient("matmul")
def einsum_within_a_row(g: Builder, x: Value) -> Value | None:
    if x.batch != 0 or x.rank != 3 or not isinstance(x.shape[2], int) or g.opset < 12:
        return None
    width = x.length(2)
    matrix = g.weights(width, 4, scale=width**-0.5)
    return g.add("Einsum", x, matrix, shape=(ROWS, x.shape[1], 4), equation="bij,jk->bik")


@ingredient("matmul")
def the_diagonal_of_all_products(g: Builder, x: Value) -> Value | None:
    """Each row times itself, by way of a matrix of all pairs."""
    if x.rank != 2 or x.batch != 0:
        return None
    pairs = g.add("MatMul", x, g.transpose(x, [1, 0]), shape=(ROWS, "pairs"))
    ones = g.cast(g.add("EyeLike", pairs), np.bool_)
    own = g.add("Where", ones, pairs, 0.0, shape=pairs.shape, dtype=x.dtype)
    norms = g.reduce("ReduceSum", Value(own.name, own.shape, x.dtype, x.coupled, x.random), [1])
    return g.add("Mul", x, g.add("Tanh", norms), shape=x.shape)


@ingredient("matmul", couples=True)
def all_pairs_of_rows(g: Builder, x: Value) -> Value | None:
    if x.rank != 2 or x.batch != 0:
        return None
    if g.opset >= 12 and g.chance.random() < 0.5:
        return g.add("Einsum", x, x, shape=(ROWS, "pairs"), equation="bi,ci->bc")
    return g.add("MatMul", x, g.transpose(x, [1, 0]), shape=(ROWS, "pairs"))


@ingredient("matmul", couples=True)
def a_matrix_of_all_rows(g: Builder, x: Value) -> Value | None:
    """x (x' x), the covariance of the batch."""
    if x.rank != 2 or x.batch != 0 or has_free_axes(x):
        return None
    width = x.length(1)
    if g.chance.random() < 0.5:
        square = g.add("MatMul", g.transpose(x, [1, 0]), x, shape=(width, width))
    else:
        square = g.add("Gemm", x, x, shape=(width, width), transA=1)
    return g.add("MatMul", x, g.add("Tanh", square), shape=x.shape)


@ingredient("matmul", couples=True)
def einsum_over_the_batch(g: Builder, x: Value) -> Value | None:
    if x.rank != 2 or x.batch != 0 or g.opset < 12:
        return None
    total = g.add("Einsum", x, shape=(x.shape[1],), equation="bi->i")
    return g.add("Einsum", x, g.add("Tanh", total), shape=x.shape, equation="bi,i->bi")


@ingredient("matmul", couples=True)
def a_matrix_that_mixes_rows(g: Builder, x: Value) -> Value | None:
    """A triangle of ones, as long as the batch, from the left."""
    if x.rank < 2 or g.opset < 14 or x.batch is None:
        return None
    inside = rows_inside(g, x)
    count = g.dimension(x, x.batch)
    square = g.add("Concat", count, count, shape=(2,), axis=0)
    ones = g.add("Expand", np.ones((1, 1), np.float32), square, shape=(ROWS, "r"), dtype=x.dtype)
    lower = g.add("Trilu", ones, upper=0)
    return g.add("MatMul", lower, inside, shape=inside.shape)


@ingredient("matmul")
def a_matrix_of_each_row(g: Builder, x: Value) -> Value | None:
    """One made of the row itself, times the mean of its steps."""
    first = g.rows_first(x)
    if first.rank != 3:
        return None
    mean = g.reduce("ReduceMean", first, [1])
    square = g.add("MatMul", g.transpose(first, [0, 2, 1]), first, shape=(ROWS, *[x.shape[-1]] * 2))
    return g.add("MatMul", mean, square, shape=(ROWS, 1, first.shape[2]))


@ingredient("matmul", couples=True)
def every_row_times_the_matrix_of_every_row(g: Builder, x: Value) -> Value | None:
    """Two axes are not three: [rows, width] is one matrix for all of [rows, width, steps]."""
    first = g.rows_first(x)
    if first.rank != 3:
        return None
    mean = g.reduce("ReduceMean", first, [1], keep=False)
    turned = g.transpose(first, [0, 2, 1])
    y = g.add("MatMul", mean, turned, shape=("pairs", ROWS, first.shape[1]))
    return g.reduce("ReduceMax", y, [0], keep=False)


@ingredient("matmul", couples=True)
def every_row_less_every_row(g: Builder, x: Value) -> Value | None:
    """[rows] and [rows, 1] broadcast to all pairs."""
    if x.shape != (ROWS,):
        return None
    pairs = g.add("Sub", x, g.unsqueeze(x, 1), shape=("pairs", ROWS))
    return g.reduce("ReduceMax", pairs, [g.chance.choice([0, 1])], keep=False)
