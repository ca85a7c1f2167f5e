"""Operators whose names alone tell at load time how they treat rows."""

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np

from trtasync.rows.proof.chance import RANDOM
from trtasync.rows.proof.rules.dynamic import DYNAMIC
from trtasync.rows.proof.scopes import STANDARD, named

RANDOM_OF_OTHERS: Final = frozenset({("com.microsoft", "Sampling")})


def random_operators(model: Any) -> list[str]:
    """Nodes that draw random numbers, including subgraphs and functions: operator and name."""
    constants = dict(_constants(model))

    def draws(node: Any, version: int) -> bool:
        domain = "" if node.domain in STANDARD else node.domain
        if domain == "" and node.op_type == "Dropout":
            return _trains(node, version, constants)
        return (domain == "" and node.op_type in RANDOM) or (
            (domain, node.op_type) in RANDOM_OF_OTHERS
        )

    return _found(model, draws)


def dynamic_quantization(model: Any) -> list[str]:
    """Nodes that scale all rows of a batch by one number computed from it."""

    def scales(node: Any, version: int) -> bool:
        return ("" if node.domain in STANDARD else node.domain, node.op_type) in DYNAMIC

    return _found(model, scales)


def _found(model: Any, wanted: Callable[[Any, int], bool]) -> list[str]:
    return [named(node) for node, version in _nodes(model) if wanted(node, version)]


def _trains(node: Any, version: int, constants: dict[str, Any]) -> bool:
    """Whether a Dropout is in training mode; assumed if that depends on an input."""
    if version < 7:
        return not any(each.name == "is_test" and each.i for each in node.attribute)
    if version < 12 or len(node.input) < 3 or not node.input[2]:
        return False
    mode = constants.get(node.input[2])
    return mode is None or _is_true(mode)


def _is_true(tensor: Any) -> bool:
    from onnx import numpy_helper

    try:
        return bool(np.any(numpy_helper.to_array(tensor)))
    except Exception:
        return True  # a file may contain anything


def _constants(model: Any) -> Iterator[tuple[str, Any]]:
    for graph in _graphs(model):
        for tensor in graph.initializer:
            yield tensor.name, tensor
    for node, _ in _nodes(model):
        if node.op_type == "Constant" and node.output:
            for attribute in node.attribute:
                if attribute.name == "value":
                    yield node.output[0], attribute.t


def _graphs(model: Any) -> Iterator[Any]:
    yield model.graph
    for node, _ in _nodes(model):
        yield from _subgraphs(node)


def _nodes(model: Any) -> Iterator[tuple[Any, int]]:
    """Yield all nodes with the version of their operator set."""
    for owner, nodes in (
        (model, model.graph.node),
        *((each, each.node) for each in model.functions),
    ):
        versions = {each.domain: each.version for each in owner.opset_import}
        standard = versions.get("", versions.get("ai.onnx", 1))
        waiting = [iter(nodes)]
        while waiting:
            node = next(waiting[-1], None)
            if node is None:
                waiting.pop()
                continue
            yield node, standard
            waiting.extend(iter(graph.node) for graph in _subgraphs(node))


def _subgraphs(node: Any) -> Iterator[Any]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs
