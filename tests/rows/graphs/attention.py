"""Attention: of the steps of a row to each other, and of rows to rows."""

from tests.rows.graphs.builder import BOOL, Builder
from tests.rows.graphs.matrices import rows_inside
from tests.rows.graphs.values import Value, ingredient


def swapped(g: Builder, x: Value) -> Value:
    """The last two axes exchanged."""
    return g.transpose(x, [*range(x.rank - 2), x.rank - 1, x.rank - 2])


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
    if g.opset < 23 or first.rank != 3 or 2 not in first.fixed or first.length(2) % 2:
        return None
    return g.add("Attention", first, first, first, q_num_heads=2, kv_num_heads=2)
