"""Steps that look at a window: convolutions, pooling, pictures made larger."""

import numpy as np

from tests.rows.graphs.builder import INT64, Builder
from tests.rows.graphs.elementwise import has_free_axes
from tests.rows.graphs.values import FREE, ROWS, Value, ingredient


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
