"""Steps that add up products: matrices, convolutions, pooling, attention."""

import numpy as np

from tests.rows.graphs.builder import BOOL, INT64, Builder
from tests.rows.graphs.elementwise import has_free_axes
from tests.rows.graphs.values import FREE, ROWS, Value, ingredient


def rows_inside(g: Builder, x: Value) -> Value:
    """The batch axis at the place before the last, so that matrices multiply over it."""
    assert x.batch is not None
    rest = [axis for axis in x.others if axis != x.others[-1]]
    return g.transpose(x, [*rest, x.batch, x.others[-1]])


def swapped(g: Builder, x: Value) -> Value:
    """The last two axes exchanged."""
    return g.transpose(x, [*range(x.rank - 2), x.rank - 1, x.rank - 2])


# --------------------------------------------------------------------------------------- matrices


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


# ---------------------------------------------------------------------------------------- windows


def picture(g: Builder, x: Value) -> Value | None:
    """Rows first, channels next, one or two further axes."""
    first = g.rows_first(x)
    if first.rank == 2:
        first = g.unsqueeze(first, 1)
    return first if first.rank in (3, 4) and isinstance(first.shape[1], int) else None


def strip(g: Builder, x: Value) -> Value | None:
    """The rows as the first axis of a picture of one channel: [1, 1, rows, width]."""
    if x.rank != 2 or x.batch != 0:
        return None
    return g.unsqueeze(g.unsqueeze(x, 0), 0)


@ingredient("convolution")
def a_convolution(g: Builder, x: Value) -> Value | None:
    p = picture(g, x)
    if p is None:
        return None
    channels, spatial = p.length(1), p.rank - 2
    group = channels if g.chance.random() < 0.3 else 1
    filters = channels if group > 1 else g.chance.choice([2, 4])
    kernel = [3] * spatial
    w = g.weights(filters, channels // group, *kernel, scale=(channels * 3**spatial) ** -0.5)
    shape = p.resized(1, filters)
    return g.add("Conv", p, w, g.weights(filters), shape=shape, group=group, pads=[1] * 2 * spatial)


@ingredient("convolution")
def a_transposed_convolution(g: Builder, x: Value) -> Value | None:
    p = picture(g, x)
    if p is None:
        return None
    channels, spatial = p.length(1), p.rank - 2
    w = g.weights(channels, 2, *[3] * spatial, scale=(channels * 3) ** -0.5)
    return g.add("ConvTranspose", p, w, shape=p.resized(1, 2), pads=[1] * 2 * spatial)


@ingredient("pooling")
def pooling(g: Builder, x: Value) -> Value | None:
    p = picture(g, x)
    if p is None:
        return None
    spatial = p.rank - 2
    op = g.chance.choice(["MaxPool", "AveragePool", "LpPool"])
    return g.add(op, p, kernel_shape=[3] * spatial, pads=[1] * 2 * spatial)


@ingredient("pooling")
def pooling_of_all(g: Builder, x: Value) -> Value | None:
    p = picture(g, x)
    if p is None:
        return None
    ops = ["GlobalAveragePool", "GlobalMaxPool"]
    op = g.chance.choice([*ops, "GlobalLpPool"] if g.opset < 22 else ops)
    return g.add(op, p, shape=(ROWS, p.shape[1], *[1] * (p.rank - 2)))


@ingredient("pooling")
def where_the_largest_was_within_a_row(g: Builder, x: Value) -> Value | None:
    """`MaxPool`'s indices count over the whole batch; the remainder does not."""
    p = picture(g, x)
    if p is None or has_free_axes(p):
        return None
    spatial = p.rank - 2
    _, where = g.many(
        "MaxPool", p, shapes=[p.shape, p.shape], dtypes=[x.dtype, INT64],
        kernel_shape=[3] * spatial, pads=[1] * 2 * spatial,
    )  # fmt: skip
    size = int(np.prod([p.length(axis) for axis in range(1, p.rank)]))
    own = g.add("Mod", where, np.array(size, np.int64))
    return g.cast(own, np.float32)


@ingredient("pooling", couples=True)
def where_the_largest_was(g: Builder, x: Value) -> Value | None:
    p = picture(g, x)
    if p is None:
        return None
    spatial = p.rank - 2
    _, where = g.many(
        "MaxPool", p, shapes=[p.shape, p.shape], dtypes=[x.dtype, INT64],
        kernel_shape=[3] * spatial, pads=[1] * 2 * spatial,
    )  # fmt: skip
    return where if g.chance.random() < 0.5 else g.cast(where, np.float32)


@ingredient("convolution")
def a_convolution_along_each_row(g: Builder, x: Value) -> Value | None:
    """The batch is the height of a picture, and the kernel one high."""
    s = strip(g, x)
    if s is None:
        return None
    y = g.add("Conv", s, g.weights(1, 1, 1, 3), pads=[0, 1, 0, 1])
    return g.squeeze(g.squeeze(y, 0), 0)


@ingredient("convolution", couples=True)
def a_convolution_over_the_batch(g: Builder, x: Value) -> Value | None:
    s = strip(g, x)
    if s is None:
        return None
    y = g.add("Conv", s, g.weights(1, 1, 3, 1), pads=[1, 0, 1, 0])
    return g.squeeze(g.squeeze(y, 0), 0)


@ingredient("pooling", couples=True)
def pooling_over_the_batch(g: Builder, x: Value) -> Value | None:
    s = strip(g, x)
    if s is None:
        return None
    op = g.chance.choice(["MaxPool", "AveragePool"])
    y = g.add(op, s, kernel_shape=[3, 1], pads=[1, 0, 1, 0])
    return g.squeeze(g.squeeze(y, 0), 0)


@ingredient("convolution", couples=True)
def the_batch_as_channels(g: Builder, x: Value) -> Value | None:
    """A norm over neighbouring channels, which are rows."""
    if x.rank != 3 or x.batch != 0:
        return None
    p = g.unsqueeze(x, 0)
    return g.squeeze(g.add("LRN", p, size=3, alpha=2.0, beta=0.75), 0)


@ingredient("pooling")
def larger_pictures(g: Builder, x: Value) -> Value | None:
    p = picture(g, x)
    if p is None or p.rank != 4 or FREE in p.shape:
        return None
    scales = np.array([1, 1, 2, 2], np.float32)
    shape = (*p.shape[:2], 2 * p.length(2), 2 * p.length(3))
    mode = g.chance.choice(["nearest", "linear"])
    return g.add("Resize", p, np.zeros(0, np.float32), scales, shape=shape, mode=mode)


@ingredient("pooling", couples=True)
def a_picture_stretched_over_the_batch(g: Builder, x: Value) -> Value | None:
    s = strip(g, x)
    if s is None:
        return None
    scales = np.array([1, 1, 2, 1], np.float32)
    nothing = np.zeros(0, np.float32)
    y = g.add("Resize", s, nothing, scales, shape=s.resized(2, "twice"), mode="linear")
    halved = g.slice(y, 2, 1, 2**63 - 1, s.shape, step=2)
    return g.squeeze(g.squeeze(halved, 0), 0)


@ingredient("pooling")
def depth_to_space_and_back(g: Builder, x: Value) -> Value | None:
    p = picture(g, x)
    if p is None or p.rank != 4 or p.length(1) % 4 or FREE in p.shape:
        return None
    shape = (ROWS, p.length(1) // 4, 2 * p.length(2), 2 * p.length(3))
    return g.add("DepthToSpace", p, shape=shape, blocksize=2, mode=g.chance.choice(["DCR", "CRD"]))


# -------------------------------------------------------------------------------------- attention


def attention(g: Builder, x: Value) -> Value:
    """Softmax of x x' times x, over the last two axes."""
    scores = g.add("MatMul", x, swapped(g, x), shape=(*x.shape[:-1], x.shape[-2]))
    weights = g.add("Softmax", g.add("Mul", scores, 0.5), axis=-1 if g.opset >= 13 else x.rank - 1)
    return g.add("MatMul", weights, x, shape=x.shape)


@ingredient("attention")
def attention_within_a_row(g: Builder, x: Value) -> Value | None:
    first = g.rows_first(x)
    return attention(g, first) if first.rank in (3, 4) else None


@ingredient("attention")
def attention_with_heads(g: Builder, x: Value) -> Value | None:
    first = g.rows_first(x)
    if first.rank != 3 or not isinstance(first.shape[2], int) or first.length(2) % 2:
        return None
    apart = g.reshape(first, (*first.shape[:2], 2, first.length(2) // 2))
    mixed = attention(g, g.transpose(apart, [0, 2, 1, 3]))
    return g.reshape(g.transpose(mixed, [0, 2, 1, 3]), first.shape)


@ingredient("attention")
def attention_with_a_mask(g: Builder, x: Value) -> Value | None:
    """Steps of a row whose sum is small are hidden from its other steps."""
    first = g.rows_first(x)
    if first.rank != 3:
        return None
    weight = g.reduce("ReduceSum", first, [2], keep=False)
    hidden = g.unsqueeze(g.add("Less", weight, -0.5, dtype=BOOL), 1)
    scores = g.add("MatMul", first, swapped(g, first), shape=(*first.shape[:2], first.shape[1]))
    kept = g.add("Where", hidden, -1e4, scores, shape=scores.shape, dtype=x.dtype)
    return g.add("MatMul", g.add("Softmax", kept, axis=2), first, shape=first.shape)


@ingredient("attention", couples=True)
def attention_between_rows(g: Builder, x: Value) -> Value | None:
    return attention(g, rows_inside(g, x)) if x.rank in (2, 3, 4) else None


@ingredient("attention", couples=True)
def attention_to_the_mean_row(g: Builder, x: Value) -> Value | None:
    assert x.batch is not None
    if x.rank < 2:
        return None
    mean = g.reduce("ReduceMean", x, [x.batch])
    score = g.reduce("ReduceSum", g.add("Mul", x, mean), [x.others[-1]])
    return g.add("Mul", x, g.add("Sigmoid", score), shape=x.shape)


@ingredient("attention")
def attention_as_one_node(g: Builder, x: Value) -> Value | None:
    first = g.rows_first(x)
    if (
        g.opset < 23
        or first.rank != 3
        or not isinstance(first.shape[2], int)
        or first.length(2) % 2
    ):
        return None
    return g.add("Attention", first, first, first, q_num_heads=2, kv_num_heads=2)
