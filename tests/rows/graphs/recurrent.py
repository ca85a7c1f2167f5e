"""Recurrent layers, with rows at their place and with rows taken for time."""

import numpy as np
from onnx import TensorProto, helper

from tests.rows.graphs.builder import INT64, Builder, Operand
from tests.rows.graphs.values import ROWS, Shape, Value, ingredient

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
HIDDEN = 3


def layer(g: Builder, x: Value, *, states: bool = True) -> Value | None:
    """A recurrent layer over [time, batch, features]: all of its steps, or the last."""
    if x.rank != 3 or not isinstance(x.shape[2], int):
        return None
    op = g.chance.choice(list(GATES))
    direction = g.chance.choice(["forward", "reverse", "bidirectional"])
    ways, width, gates = 1 + (direction == "bidirectional"), x.length(2), GATES[op]
    w = g.weights(ways, gates * HIDDEN, width, scale=width**-0.5)
    r = g.weights(ways, gates * HIDDEN, HIDDEN, scale=HIDDEN**-0.5)
    bias = g.weights(ways, 2 * gates * HIDDEN) if g.chance.random() < 0.5 else None
    start = state(g, x, ways) if states and g.chance.random() < 0.4 else None
    every: Shape = (x.shape[0], ways, x.shape[1], HIDDEN)
    last: Shape = (ways, x.shape[1], HIDDEN)
    shapes: list[Shape | None] = [every, None] if g.chance.random() < 0.6 else [None, last]
    y, h = g.many(
        op, x, w, r, bias, None, start, shapes=shapes, direction=direction, hidden_size=HIDDEN
    )
    return y if shapes[0] else h


def state(g: Builder, x: Value, ways: int) -> Operand:
    """The first state: zeros as long as the batch, or an input that is one."""
    states = [v for v in g.pool if v.shape == (ways, x.shape[1], HIDDEN) and v.dtype == x.dtype]
    if states:
        return g.chance.choice(states)
    if x.shape[1] not in x.shape:
        return None
    target = g.lengths((ways, x.shape[1], HIDDEN), x)
    zero = helper.make_tensor("value", TensorProto.FLOAT, [1], [0.0])
    shape: Shape = (ways, x.shape[1], HIDDEN)
    made = g.add("ConstantOfShape", target, shape=shape, dtype=np.float32, value=zero)
    return Value(made.name, shape)


def time_first(g: Builder, x: Value) -> Value | None:
    """The batch axis in the middle."""
    if x.rank != 3 or x.batch is None:
        return None
    perm = [x.others[0], x.batch, x.others[1]]
    return x if perm == [0, 1, 2] else g.transpose(x, perm)


@ingredient("recurrent")
def a_recurrent_layer(g: Builder, x: Value) -> Value | None:
    sequence = time_first(g, x)
    return None if sequence is None else layer(g, sequence)


@ingredient("recurrent")
def a_recurrent_layer_between_transposes(g: Builder, x: Value) -> Value | None:
    """Rows first outside, time first inside, as many exporters write it."""
    sequence = time_first(g, x)
    y = None if sequence is None else layer(g, sequence)
    if y is None or y.batch is None:
        return None
    return g.transpose(y, [y.batch, *y.others])


@ingredient("recurrent")
def a_recurrent_layer_with_lengths(g: Builder, x: Value) -> Value | None:
    """The length of each row from the row itself: one step, or two."""
    sequence = time_first(g, x)
    if sequence is None or not isinstance(sequence.shape[2], int):
        return None
    if not isinstance(sequence.shape[0], int) or sequence.length(0) < 2:
        return None
    total = g.reduce("ReduceSum", sequence, [0, 2], keep=False)
    long = g.add("Greater", total, 0.0, dtype=np.bool_)
    lengths = g.add("Add", g.cast(long, np.int32), np.array([1], np.int32))
    width = sequence.length(2)
    w, r = g.weights(1, 3 * HIDDEN, width), g.weights(1, 3 * HIDDEN, HIDDEN)
    shape: Shape = (sequence.shape[0], 1, ROWS, HIDDEN)
    y, _ = g.many("GRU", sequence, w, r, None, lengths, shapes=[shape, None], hidden_size=HIDDEN)
    return y


@ingredient("recurrent", couples=True)
def rows_taken_for_time(g: Builder, x: Value) -> Value | None:
    """Rows first, given to a layer that wants time first."""
    if x.rank == 2 and x.batch == 0:
        return layer(g, g.unsqueeze(x, 1), states=False)
    return layer(g, g.rows_first(x), states=False) if x.rank == 3 else None


@ingredient("recurrent")
def steps_of_a_row_backward(g: Builder, x: Value) -> Value | None:
    """As many of them as its length says, which is all."""
    sequence = time_first(g, x)
    if sequence is None:
        return None
    zero = helper.make_tensor("value", TensorProto.INT64, [1], [0])
    rows = g.dimension(sequence, 1)
    none = g.add("ConstantOfShape", rows, shape=(ROWS,), dtype=INT64, value=zero)
    lengths = g.add("Add", none, g.dimension(sequence, 0))
    whole = Value(lengths.name, (ROWS,), INT64)
    return g.add("ReverseSequence", sequence, whole, batch_axis=1, time_axis=0)


@ingredient("recurrent", couples=True)
def rows_of_the_batch_backward_as_steps(g: Builder, x: Value) -> Value | None:
    """`ReverseSequence` that takes the batch for time."""
    first = g.rows_first(x)
    if first.rank < 2 or not isinstance(first.shape[1], int):
        return None
    lengths = g.add("Expand", g.dimension(first, 0), np.array([first.length(1)]), shape=(1,))
    whole = Value(lengths.name, (first.length(1),), INT64)
    return g.rows_back(g.add("ReverseSequence", first, whole, batch_axis=1, time_axis=0), x)
