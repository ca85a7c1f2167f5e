"""Conditions and loops: by constants, by shared inputs, by the rows, and over them."""

import numpy as np
from onnx import helper

from tests.rows.graphs.builder import BOOL, FLOAT_TENSOR, INT64, Array, Builder, Operand, element
from tests.rows.graphs.values import FREE, ROWS, Value, ingredient


def either(g: Builder, condition: Operand, x: Value) -> Value:
    """x halved, or its sine, as the condition says."""
    branches = []
    for op, number in (("Mul", 0.5), ("Sin", None)):
        body = g.inner()
        y = body.add(op, x) if number is None else body.add(op, x, number)
        branches.append(body.graph(op, [], [y]))
    names = ("then_branch", "else_branch")
    y = g.add("If", condition, shape=x.shape, **dict(zip(names, branches, strict=True)))
    return read_inside(y, condition, x)


def read_inside(y: Value, operand: Operand, x: Value) -> Value:
    """The output of a node whose body reads x, and which itself reads the operand."""
    coupled, random = x.coupled, x.random
    if isinstance(operand, Value):
        coupled, random = coupled or operand.coupled, random or operand.random
    return Value(y.name, x.shape, x.dtype, coupled, random)


def repeated(g: Builder, count: Operand, x: Value) -> Value:
    """y = tanh(y + x / 2), so many times."""
    body = g.inner()
    step, go, state = body.name("step"), body.name("go"), body.name("state")
    inputs = [
        helper.make_tensor_value_info(step, element(np.int64), []),
        helper.make_tensor_value_info(go, element(np.bool_), []),
        helper.make_tensor_value_info(state, FLOAT_TENSOR, [None] * x.rank),
    ]
    more = body.add("Add", Value(state, x.shape), body.add("Mul", x, 0.5))
    y = body.add("Tanh", more)
    on = body.add("Identity", Value(go, (), BOOL))
    made = g.add("Loop", count, None, x, shape=x.shape, body=body.graph("body", inputs, [on, y]))
    return read_inside(made, count, x)


def scanned(g: Builder, x: Value, axis: int, *, carried: bool) -> Value:
    """Over the slices along an axis; with a running state, or each for itself."""
    body = g.inner()
    rest = (*x.shape[:axis], *x.shape[axis + 1 :])
    part, state = body.name("part"), body.name("state")
    inputs = [helper.make_tensor_value_info(part, FLOAT_TENSOR, [None] * len(rest))]
    p = Value(part, rest)
    if not carried:
        y = body.add("Cos", body.add("Mul", p, 0.7))
        return g.add(
            "Scan", x, num_scan_inputs=1, body=body.graph("body", inputs, [y]),
            scan_input_axes=[axis], scan_output_axes=[axis],
        )  # fmt: skip
    inputs.insert(0, helper.make_tensor_value_info(state, FLOAT_TENSOR, [None] * len(rest)))
    s = body.add("Tanh", body.add("Add", body.add("Mul", Value(state, rest), 0.9), p))
    y = body.add("Identity", s)
    first = g.reduce("ReduceMean", x, [axis], keep=False)
    _, out = g.many(
        "Scan", first, x, shapes=[rest, x.shape], num_scan_inputs=1,
        body=body.graph("body", inputs, [s, y]), scan_input_axes=[axis], scan_output_axes=[axis],
    )  # fmt: skip
    return out


def row_by_row(g: Builder, x: Value, *, carried: bool) -> Value:
    """A Loop over the rows that stacks what it makes of each."""
    first = g.rows_first(x)
    rest = first.shape[1:]
    body = g.inner()
    step, go, state = body.name("step"), body.name("go"), body.name("state")
    inputs = [
        helper.make_tensor_value_info(step, element(np.int64), []),
        helper.make_tensor_value_info(go, element(np.bool_), []),
        helper.make_tensor_value_info(state, FLOAT_TENSOR, [None] * len(rest)),
    ]
    row = body.add("Gather", first, Value(step, (), INT64), shape=rest, axis=0)
    before = Value(state, rest)
    mixed = body.add("Add", row, body.add("Mul", before, 0.5)) if carried else row
    y = body.add("Sin", mixed)
    kept = body.add("Identity", y if carried else before)
    on = body.add("Identity", Value(go, (), BOOL))
    outputs = [on, kept, y]
    start = g.add("Mul", g.reduce("ReduceMax", first, [0], keep=False), 0.0 if carried else 1.0)
    count = g.squeeze(g.dimension(first, 0), 0)
    _, stacked = g.many(
        "Loop", count, None, start, shapes=[rest, first.shape], dtypes=[x.dtype, x.dtype],
        body=body.graph("body", inputs, outputs),
    )  # fmt: skip
    return read_inside(stacked, None, first)


def switch(g: Builder) -> Value | None:
    """A shared number compared with a constant."""
    if not g.shared:
        return None
    value = g.chance.choice(g.shared)
    if value.shape not in ((), (1,)):
        return None
    limit = np.array(0.3 if value.dtype == np.float32 else 4, value.dtype)
    return g.add("Greater", value, limit, dtype=BOOL)


# ------------------------------------------------------------------------------------- along rows


@ingredient("control flow")
def a_condition_on_a_shared_input(g: Builder, x: Value) -> Value | None:
    condition = switch(g)
    return None if condition is None else either(g, condition, x)


@ingredient("control flow")
def a_constant_condition(g: Builder, x: Value) -> Value:
    always: Array = np.array(g.chance.random() < 0.5)
    return either(g, always, x)


@ingredient("control flow")
def a_choice_on_a_shared_input(g: Builder, x: Value) -> Value | None:
    condition = switch(g)
    if condition is None:
        return None
    return g.add("Where", condition, x, g.add("Neg", x), shape=x.shape, dtype=x.dtype)


@ingredient("control flow")
def a_loop_of_a_fixed_number_of_steps(g: Builder, x: Value) -> Value:
    return repeated(g, np.array(g.chance.randint(1, 4), np.int64), x)


@ingredient("control flow")
def a_loop_as_long_as_a_shared_input_says(g: Builder, x: Value) -> Value | None:
    counts = [value for value in g.shared if value.name.startswith("steps")]
    return repeated(g, counts[0], x) if counts else None


@ingredient("control flow")
def a_scan_within_a_row(g: Builder, x: Value) -> Value | None:
    if x.rank < 2:
        return None
    return scanned(g, x, g.chance.choice(x.others), carried=True)


@ingredient("control flow")
def a_scan_over_rows_without_a_state(g: Builder, x: Value) -> Value:
    assert x.batch is not None
    return scanned(g, x, x.batch, carried=False)


@ingredient("control flow")
def a_loop_over_rows_each_for_itself(g: Builder, x: Value) -> Value:
    return row_by_row(g, x, carried=False)


@ingredient("control flow")
def a_sequence_of_parts_of_a_row(g: Builder, x: Value) -> Value | None:
    axes = [axis for axis in x.fixed if x.length(axis) > 1]
    if not axes:
        return None
    axis = g.chance.choice(axes)
    parts = g.add("SplitToSequence", x, axis=axis)
    return g.add("ConcatFromSequence", parts, shape=x.shape, axis=axis)


# -------------------------------------------------------------------------------------- over rows


@ingredient("control flow", couples=True)
def a_condition_on_the_whole_batch(g: Builder, x: Value) -> Value:
    total = g.summary("ReduceSum", x)
    return either(g, g.add("Greater", total, 0.0, dtype=BOOL), x)


@ingredient("control flow", couples=True)
def a_choice_on_the_whole_batch(g: Builder, x: Value) -> Value:
    condition = g.add("Greater", g.summary("ReduceMean", x), 0.0, dtype=BOOL)
    return g.add("Where", condition, x, g.add("Neg", x), shape=x.shape, dtype=x.dtype)


@ingredient("control flow", couples=True)
def a_choice_that_only_loud_neighbours_make(g: Builder, x: Value) -> Value:
    loud = g.add("Greater", g.summary("ReduceMax", x), 1e4, dtype=BOOL)
    return g.add("Where", loud, g.add("Neg", x), x, shape=x.shape, dtype=x.dtype)


@ingredient("control flow", couples=True)
def a_loop_as_long_as_the_batch_says(g: Builder, x: Value) -> Value:
    top = g.add("Mul", g.summary("ReduceMax", g.add("Abs", x)), 2.0)
    count = g.cast(g.add("Min", g.add("Floor", top), 6.0), np.int64)
    return repeated(g, count, x)


@ingredient("control flow", couples=True)
def a_loop_as_long_as_there_are_rows(g: Builder, x: Value) -> Value:
    assert x.batch is not None
    return repeated(g, g.squeeze(g.dimension(x, x.batch), 0), x)


@ingredient("control flow", couples=True)
def a_scan_over_rows_with_a_state(g: Builder, x: Value) -> Value:
    assert x.batch is not None
    return scanned(g, x, x.batch, carried=True)


@ingredient("control flow", couples=True)
def a_loop_over_rows_with_a_state(g: Builder, x: Value) -> Value:
    return row_by_row(g, x, carried=True)


@ingredient("control flow", couples=True)
def a_condition_on_the_first_row(g: Builder, x: Value) -> Value:
    assert x.batch is not None
    first = g.slice(x, x.batch, 0, 1, x.resized(x.batch, 1))
    return either(g, g.add("Greater", g.summary("ReduceSum", first), 0.0, dtype=BOOL), x)


@ingredient("control flow", couples=True)
def a_sequence_of_rows_backward(g: Builder, x: Value) -> Value | None:
    """The last row inserted before the others."""
    assert x.batch is not None
    if FREE in x.shape:
        return None
    parts = g.add("SplitToSequence", x, axis=x.batch)
    last = g.add("SequenceAt", parts, np.array(-1), shape=x.resized(x.batch, 1))
    longer = g.add("SequenceInsert", parts, last, np.array(0), shape=x.shape)
    shorter = g.add("SequenceErase", longer, np.array(-1), shape=x.shape)
    return g.add("ConcatFromSequence", shorter, shape=x.shape, axis=x.batch)


@ingredient("control flow", couples=True)
def a_loop_until_all_rows_are_small(g: Builder, x: Value) -> Value:
    """At most six times, as a decoder that waits for its slowest row."""
    body = g.inner()
    step, go, state = body.name("step"), body.name("go"), body.name("state")
    inputs = [
        helper.make_tensor_value_info(step, element(np.int64), []),
        helper.make_tensor_value_info(go, element(np.bool_), []),
        helper.make_tensor_value_info(state, FLOAT_TENSOR, [None] * x.rank),
    ]
    y = body.add("Mul", Value(state, x.shape), 0.8)
    on = body.add("Greater", body.summary("ReduceMax", body.add("Abs", y)), 0.9, dtype=BOOL)
    graph = body.graph("body", inputs, [on, y])
    always = np.array(True)
    return read_inside(g.add("Loop", np.array(6), always, x, shape=x.shape, body=graph), None, x)


@ingredient("control flow", couples=True)
def only_as_many_steps_as_the_longest_row_has(g: Builder, x: Value) -> Value | None:
    """Steps are counted where the sum is positive; the rest is cut off for all rows."""
    first = g.rows_first(x)
    if first.rank != 3 or not isinstance(first.shape[1], int) or first.length(1) < 4:
        return None
    sums = g.reduce("ReduceSum", first, [2], keep=False)
    there = g.cast(g.add("Greater", sums, 0.0, dtype=BOOL), np.float32)
    longest = g.summary("ReduceMax", g.reduce("ReduceSum", there, [1], keep=False))
    end = g.unsqueeze(g.cast(longest, np.int64), 0)
    start, axis = np.array([0]), np.array([1])
    return g.add("Slice", first, start, end, axis, shape=(ROWS, "steps", *first.shape[2:]))
