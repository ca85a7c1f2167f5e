"""Normalisations: over channels, groups, features, and over the batch as in training."""

import numpy as np

from tests.rows.graphs.builder import Array, Builder
from tests.rows.graphs.values import ROWS, Value, ingredient
from tests.rows.graphs.windows import picture


def statistics(g: Builder, channels: int) -> list[Array]:
    """Scale, bias, mean and variance of a batch norm."""
    scale, bias, mean, deviation = (g.weights(channels) for _ in range(4))
    return [scale, bias, mean, np.abs(deviation) + np.float32(0.5)]


@ingredient("norms")
def batch_norm_of_inference(g: Builder, x: Value) -> Value | None:
    p = picture(g, x)
    if p is None:
        return None
    return g.add("BatchNormalization", p, *statistics(g, p.length(1)))


@ingredient("norms")
def instance_norm(g: Builder, x: Value) -> Value | None:
    p = picture(g, x)
    if p is None:
        return None
    return g.add("InstanceNormalization", p, *statistics(g, p.length(1))[:2])


@ingredient("norms")
def layer_norm(g: Builder, x: Value) -> Value | None:
    if g.opset < 17 or x.rank < 2 or not isinstance(x.shape[-1], int) or x.length(-1) < 2:
        return None
    width = x.length(-1)
    return g.add("LayerNormalization", x, g.weights(width), g.weights(width), axis=-1)


@ingredient("norms")
def rms_norm(g: Builder, x: Value) -> Value | None:
    if g.opset < 23 or x.rank < 2 or not isinstance(x.shape[-1], int) or x.length(-1) < 2:
        return None
    return g.add("RMSNormalization", x, g.weights(x.length(-1)), axis=-1)


@ingredient("norms")
def group_norm(g: Builder, x: Value) -> Value | None:
    p = picture(g, x)
    if p is None or g.opset < 21 or p.length(1) % 2:
        return None
    scale, bias = statistics(g, p.length(1))[:2]
    return g.add("GroupNormalization", p, scale, bias, num_groups=2)


@ingredient("norms")
def group_norm_as_exporters_write_it(g: Builder, x: Value) -> Value | None:
    """An instance norm of [rows, groups, the rest]."""
    p = picture(g, x)
    if p is None or p.length(1) % 2 or len(p.fixed) != p.rank - 1:
        return None
    half = int(np.prod([p.length(axis) for axis in range(1, p.rank)])) // 2
    grouped = g.reshape(p, (ROWS, 2, half))
    y = g.add("InstanceNormalization", grouped, np.ones(2, np.float32), np.zeros(2, np.float32))
    return g.reshape(y, p.shape)


@ingredient("norms")
def unit_length(g: Builder, x: Value) -> Value | None:
    if x.rank < 2:
        return None
    return g.add("LpNormalization", x, axis=g.chance.choice(x.others), p=g.chance.randint(1, 2))


@ingredient("norms")
def local_response(g: Builder, x: Value) -> Value | None:
    p = picture(g, x)
    return g.add("LRN", p, size=3, alpha=1.0) if p is not None and p.rank == 4 else None


@ingredient("norms")
def mean_and_variance_within_a_row(g: Builder, x: Value) -> Value | None:
    p = picture(g, x)
    if p is None:
        return None
    return g.add("MeanVarianceNormalization", p, axes=list(range(2, p.rank)))


# ------------------------------------------------------------------------------------ over the rows


@ingredient("norms", couples=True)
def mean_and_variance_by_default(g: Builder, x: Value) -> Value | None:
    """The default axes are 0, 2 and 3."""
    p = picture(g, x)
    return g.add("MeanVarianceNormalization", p) if p is not None and p.rank == 4 else None


@ingredient("norms", couples=True)
def mean_and_variance_over_the_batch(g: Builder, x: Value) -> Value:
    assert x.batch is not None
    return g.add("MeanVarianceNormalization", x, axes=[x.batch])


@ingredient("norms", couples=True)
def unit_length_over_the_batch(g: Builder, x: Value) -> Value:
    assert x.batch is not None
    return g.add("LpNormalization", x, axis=x.batch, p=2)


@ingredient("norms", couples=True)
def batch_norm_of_training(g: Builder, x: Value) -> Value | None:
    p = picture(g, x)
    if p is None or g.opset < 15:
        return None
    channels = p.length(1)
    outputs = g.many(
        "BatchNormalization", p, *statistics(g, channels),
        shapes=[p.shape, (channels,), (channels,)], training_mode=1,
    )  # fmt: skip
    return outputs[0]


@ingredient("norms", couples=True)
def instance_norm_with_rows_in_the_picture(g: Builder, x: Value) -> Value | None:
    """[channels, rows] as a picture of one instance."""
    if x.rank != 2 or x.batch != 1 or not isinstance(x.shape[0], int):
        return None
    channels = x.length(0)
    scale = np.ones(channels, np.float32)
    p = g.unsqueeze(x, 0)
    return g.squeeze(g.add("InstanceNormalization", p, scale, scale), 0)


@ingredient("norms", couples=True)
def group_norm_over_folded_rows(g: Builder, x: Value) -> Value | None:
    """All rows in one instance."""
    p = picture(g, x)
    if p is None:
        return None
    flat = g.reshape(p, (1, 1, "all"), wanted=(1, 1, "all"))
    y = g.add("InstanceNormalization", flat, np.ones(1, np.float32), np.zeros(1, np.float32))
    return g.add("Reshape", y, g.lengths(p.shape, p), shape=p.shape)
