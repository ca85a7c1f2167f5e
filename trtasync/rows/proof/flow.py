"""Control flow and functions: nodes that contain or call other nodes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from trtasync.rows.proof.calls import normalized, sizes_of
from trtasync.rows.proof.choices import joined
from trtasync.rows.proof.scopes import Run, Scope, named, read_attributes
from trtasync.rows.proof.sizes import Size, Symbols
from trtasync.rows.proof.tensors import (
    Coupled,
    Inherited,
    Mixes,
    NeverComputed,
    NotProved,
    Refuses,
    Tensor,
    Value,
    Values,
)

MOST_TURNS: Final = 6
"""Of a loop's body, until what is known of its state no longer changes."""

Inputs = Sequence[Value | None]


def call_function(function: Any, node: Any, scope: Scope, inputs: Inputs, run: Run) -> list[Value]:
    """Evaluate the function's nodes with the node's inputs and attributes."""
    names: dict[str, Value | None] = dict.fromkeys(function.input)
    names.update(zip(function.input, inputs, strict=False))
    if len(inputs) > len(function.input):
        raise NotProved("passes its function more inputs than it has")
    defaults: Mapping[str, Any] = read_attributes(_Attributes(function.attribute_proto), {})
    given = read_attributes(node, scope.attributes)
    versions = {each.domain: each.version for each in function.opset_import}
    versions[""] = versions.get("", versions.get("ai.onnx", 1))
    within = scope.inner(names, versions=versions, attributes={**defaults, **given})
    return run.nodes(function.node, function.output, within)


class _Attributes:
    """A node that is nothing but its attributes."""

    def __init__(self, attribute: Any) -> None:
        self.attribute = attribute


def _branch(node: Any, scope: Scope, inputs: Inputs, run: Run) -> list[Value]:
    graphs = _subgraphs(node)
    [condition] = inputs
    condition = _shared(condition, "branches on what differs between rows")
    values = condition.values
    if values is not None and values.dtype != object and values.size == 1:
        return run.graph(graphs["then_branch" if values.all() else "else_branch"], scope, [])
    then = run.graph(graphs["then_branch"], scope, [])
    other = run.graph(graphs["else_branch"], scope, [])
    if len(then) != len(other):
        raise NotProved("has branches with different numbers of outputs")
    ways = zip(then, other, strict=True)
    both = [told(node, joined, one, two, scope.symbols, set()) for one, two in ways]
    if any(isinstance(value, Coupled) for value in both):
        chosen = scope.choices.take()
        if chosen is not None:
            return then if chosen else other
    return both


def _loop(node: Any, scope: Scope, inputs: Inputs, run: Run) -> list[Value]:
    body = _subgraphs(node)["body"]
    for value in inputs[:2]:
        if value is not None:
            _shared(value, "runs as often as single rows say")
    before = scope.symbols.made
    scalar = Tensor(())
    first = list(inputs[2:])
    states, results = _settled(
        node,
        first,
        lambda states: run.graph(body, scope, [scalar, scalar, *states]),
        1,
        scope.symbols,
    )
    _shared(results[0], "runs as often as single rows say")
    collected = results[1 + len(first) :]
    if not _surely_turns(inputs[0], inputs[1] if len(inputs) > 1 else None):
        # with no iterations, runtimes make a tensor of another rank
        collected = [_without_rows(node, value) for value in collected]
    turns = scope.symbols.fresh()
    stacked = [told(node, _stacked, value, 0, turns) for value in collected]
    return [told(node, _outside, value, before, scope.symbols) for value in (*states, *stacked)]


def _surely_turns(count: Value | None, go_on: Value | None) -> bool:
    """Whether a loop runs at least once, if the axis that it may follow is not empty."""
    going = go_on is None or (
        isinstance(go_on, Tensor)
        and go_on.values is not None
        and go_on.values.dtype != object
        and bool(go_on.values.all())
    )
    if not isinstance(count, Tensor) or count.values is None:
        return going and count is None
    [turns] = sizes_of(count.values)
    return going and turns.least is not None and (turns.number is None or turns.number > 0)


def _without_rows(node: Any, value: Value) -> Value:
    if isinstance(value, Tensor) and value.layout is None:
        return value
    return Coupled(f"{named(node)} may run no turn, and collect no rows then")


def _scan(node: Any, scope: Scope, inputs: Inputs, run: Run) -> list[Value]:
    if scope.versions.get("", 1) < 9:
        raise NotProved("is of an operator set whose Scan is not supported")
    body = _subgraphs(node)["body"]
    attributes = read_attributes(node, scope.attributes)
    count = len(inputs) - int(attributes["num_scan_inputs"])
    first, scanned = list(inputs[:count]), inputs[count:]
    axes = attributes.get("scan_input_axes") or [0] * len(scanned)
    before = scope.symbols.made
    # raises if the number of iterations is not the length of an axis without rows
    slices = [_slice_of(value, axis) for value, axis in zip(scanned, axes, strict=True)]
    states, results = _settled(
        node, first, lambda states: run.graph(body, scope, [*states, *slices]), 0, scope.symbols
    )
    outputs = results[count:]
    axes = attributes.get("scan_output_axes") or [0] * len(outputs)
    turns = scope.symbols.fresh()
    stacked = [
        told(node, _stacked, value, axis, turns) for value, axis in zip(outputs, axes, strict=True)
    ]
    return [told(node, _outside, value, before, scope.symbols) for value in (*states, *stacked)]


CONTROL: Final[dict[str, Callable[[Any, Scope, Inputs, Run], list[Value]]]] = {
    "If": _branch,
    "Loop": _loop,
    "Scan": _scan,
}


def _subgraphs(node: Any) -> dict[str, Any]:
    return {each.name: each.g for each in node.attribute if each.HasField("g")}


def _shared(value: Value | None, why: str) -> Tensor:
    """The value, which decides what is executed for all rows."""
    if isinstance(value, Coupled):
        raise Inherited(value)
    if isinstance(value, NeverComputed):
        raise Refuses
    if value is None or value.layout is not None:
        raise NotProved(why)
    if value.counts_rows:
        raise Mixes("branches on the number of rows")
    return value


def _settled(
    node: Any,
    first: Sequence[Value | None],
    body: Callable[[Sequence[Value]], list[Value]],
    skipped: int,
    symbols: Symbols,
) -> tuple[list[Value], list[Value]]:
    """What holds for the states in every iteration, and for the body's outputs then.

    Args:
        node: the loop.
        first: the states before the first iteration.
        body: maps states to outputs.
        skipped: how many outputs come before those that are the next states.
        symbols: those of this proof.
    """
    states = [Coupled("a loop's state is left out") if each is None else each for each in first]
    widened: set[Size] = set()
    for _ in range(MOST_TURNS):
        results = body(states)
        following = results[skipped : skipped + len(states)]
        if len(following) != len(states):
            raise NotProved("has a body that does not return all states")
        settled = [
            told(node, joined, one, two, symbols, widened)
            for one, two in zip(states, following, strict=True)
        ]
        if settled == states:
            return states, results
        states = settled
    raise NotProved("has states about which no iteration settles what is known")


def told(node: Any, function: Callable[..., Value], *given: Any) -> Value:
    """What the function returns, or why it does not."""
    try:
        return function(*given)
    except NotProved as reason:
        return Coupled(f"{named(node)} {reason}", isinstance(reason, Mixes))


def _slice_of(value: Value | None, axis: int) -> Value:
    """Take one element along an axis."""
    if isinstance(value, Coupled):
        raise Inherited(value)
    if isinstance(value, NeverComputed):
        raise Refuses
    if value is None:
        raise NotProved("lacks an input")
    if value.counts_rows or value.places:
        raise Mixes("iterates over what depends on the number or places of rows")
    if value.shape is None:
        return value
    axis = normalized(axis, len(value.shape))
    shape = value.shape[:axis] + value.shape[axis + 1 :]
    layout = value.layout
    if layout is None:
        return Tensor(shape)
    if layout.axis == axis:
        raise Mixes("iterates over the rows")
    return Tensor(shape, layout.at(layout.axis - (axis < layout.axis)))


def _stacked(value: Value, axis: int, turns: Size) -> Value:
    """Stack the values of all iterations along a new axis."""
    if not isinstance(value, Tensor):
        return value
    if value.counts_rows or value.places:
        raise Mixes("collects what depends on the number or places of rows")
    if value.shape is None:
        return value
    axis = normalized(axis, len(value.shape) + 1)
    shape = (*value.shape[:axis], turns, *value.shape[axis:])
    layout = value.layout
    return Tensor(shape, layout and layout.at(layout.axis + (axis <= layout.axis)))


def _outside(value: Value, before: int, symbols: Symbols) -> Value:
    """A body's value after the loop: a length made inside differed in every iteration."""
    if isinstance(value, NeverComputed):
        raise NotProved("may be refused by the runtime if it runs at all")
    if isinstance(value, Coupled):
        return value
    sizes = [] if value.layout is None else [value.layout.outer, value.layout.inner]
    if any(_made_since(size, before) for size in sizes):
        raise NotProved("merges rows with an axis that it changes")
    values = value.values
    if values is not None and values.dtype == object and _any_made_since(values, before):
        if value.counts_rows:
            raise NotProved("counts the rows differently in every iteration")
        values = None
    if value.shape is None:
        return value
    shape = tuple(
        symbols.fresh() if _made_since(size, before) and not size.rows else size
        for size in value.shape
    )
    return Tensor(shape, value.layout, values, value.places)


def _made_since(size: Size, before: int) -> bool:
    return any(atom.number >= before for atom in size.atoms)


def _any_made_since(sizes: Values, before: int) -> bool:
    return any(_made_since(size, before) for size in sizes.flat)
