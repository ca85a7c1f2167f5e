"""The walk through a graph, node by node."""

from collections import ChainMap
from collections.abc import Sequence
from typing import Any, Final

from trtasync.rows.proof.calls import MOST_SYMBOLIC_AXES, RULES, Call, Rule
from trtasync.rows.proof.chance import draws
from trtasync.rows.proof.choices import Choices, Exhausted, followed
from trtasync.rows.proof.flow import CONTROL, call_function
from trtasync.rows.proof.folding import folded
from trtasync.rows.proof.places import with_places
from trtasync.rows.proof.scopes import (
    STANDARD,
    Names,
    Scope,
    add_initializers,
    named,
    read_attributes,
)
from trtasync.rows.proof.tensors import (
    Coupled,
    Inherited,
    Mixes,
    NeverComputed,
    NotProved,
    Refuses,
    Tensor,
    Value,
)

DETERMINISTIC: Final = ("", "ai.onnx.ml")
"""Domains all of whose operators that are not random are functions of their inputs."""


class Walk:
    """The `Run` of a proof: it has no state other than the scopes."""

    def graph(self, graph: Any, scope: Scope, inputs: Sequence[Value | None]) -> list[Value]:
        given = [value.name for value in graph.input]
        if len(given) != len(inputs):
            raise NotProved("passes its subgraph a different number of inputs than it has")
        names: Names = {}
        add_initializers(graph, names)
        names.update(zip(given, inputs, strict=True))
        outputs = [value.name for value in graph.output]

        def evaluate(choices: Choices) -> list[Value]:
            within = scope.inner(_layered(dict(names), scope), choices=choices)
            return self.nodes(graph.node, outputs, within)

        return followed(evaluate, scope.symbols, scope.effort)

    def nodes(self, nodes: Sequence[Any], outputs: Sequence[str], scope: Scope) -> list[Value]:
        for node in nodes:
            for name, value in zip(node.output, self._evaluated(node, scope), strict=True):
                if name:
                    scope.names[name] = value
        found = [scope.value(name) for name in outputs]
        return [Coupled("an output has no name") if value is None else value for value in found]

    def _evaluated(self, node: Any, scope: Scope) -> list[Value]:
        """What is known about a node's outputs, one value each."""
        count = len(node.output)
        try:
            scope.effort.spend()
            values = list(self._results(node, scope))
        except Exhausted:
            raise
        except Refuses:
            return [NeverComputed()] * count
        except Inherited as reason:
            return [Coupled(str(reason), reason.mixes)] * count
        except NotProved as reason:
            return [Coupled(f"{named(node)} {reason}", isinstance(reason, Mixes))] * count
        except Exception:
            # a file may contain anything: what cannot be understood is not proved
            return [Coupled(f"{named(node)} is not what its operator's definition says")] * count
        missing = Coupled(f"{named(node)} has an output without a rule")
        return [*values[:count], *[missing] * (count - len(values))]

    def _results(self, node: Any, scope: Scope) -> Sequence[Value]:
        domain = "" if node.domain in STANDARD else node.domain
        rule = RULES.find(domain, node.op_type)
        inputs = [scope.value(name) for name in node.input]
        own = scope.functions.get((domain, node.op_type, node.overload))
        if own is not None:
            if rule is not None or domain == "":
                raise NotProved("is a function of the model with the name of an operator")
            return call_function(own, node, scope, inputs, self)
        if domain == "" and node.op_type in CONTROL:
            return CONTROL[node.op_type](node, scope, inputs, self)
        if any(isinstance(value, NeverComputed) for value in inputs):
            raise Refuses
        coupled = [value for value in inputs if isinstance(value, Coupled)]
        if coupled:  # what is known to mix is the most informative
            return [max(coupled, key=lambda value: value.mixes)] * len(node.output)
        call = Call(
            operator=node.op_type,
            version=scope.versions.get(domain, 1),
            attributes=read_attributes(node, scope.attributes),
            inputs=[value for value in inputs if value is None or isinstance(value, Tensor)],
            outputs=len(node.output),
            symbols=scope.symbols,
        )
        if draws(call):
            raise Mixes("draws random numbers")
        return _applied(call, domain, rule)


def _layered(names: Names, scope: Scope) -> Names:
    outer = scope.names
    return ChainMap(names, *(outer.maps if isinstance(outer, ChainMap) else [outer]))


def _applied(call: Call, domain: str, rule: Rule | None) -> Sequence[Value]:
    if domain == "" and (values := _folded(call)) is not None:
        return values
    tensors = [tensor for tensor in call.inputs if tensor is not None]
    free = all(tensor.layout is None and not tensor.counts_rows for tensor in tensors)
    anything: Sequence[Value] = [Tensor(None)] * call.outputs
    """Of a function of what is the same for every batch, nothing else need be known."""
    if rule is None:
        if free and domain in DETERMINISTIC:
            return anything
        raise NotProved("has no rule")
    if any(tensor.places for tensor in tensors):
        rule = with_places(rule)
    try:
        return [_checked(value) for value in rule(call)]
    except Refuses:
        raise
    except Exception:
        if free:
            return anything
        raise


def _folded(call: Call) -> Sequence[Tensor] | None:
    try:
        return folded(call)
    except Exception:
        return None  # its rule may handle it


def _checked(value: Value) -> Value:
    if (
        isinstance(value, Tensor)
        and value.shape is not None
        and len(value.shape) > MOST_SYMBOLIC_AXES
    ):
        raise NotProved("makes a tensor with more axes than are supported")
    return value
