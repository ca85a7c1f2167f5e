"""The same model written otherwise: what a graph does must not hang on how a file puts it."""

import random
from typing import Any

from onnx import helper, shape_inference

LOCAL = "local"
NOT_INSIDE = {"Constant", "MeanVarianceNormalization"}
"""ONNX Runtime 1.32 cannot load a function that calls the latter."""


def disguise(model: Any, chance: random.Random) -> Any:
    """Most stay as they are."""
    kind = chance.random()
    if kind < 0.1:
        return with_functions(model, chance)
    if kind < 0.15:
        return with_initializers_as_inputs(model)
    if kind < 0.35:
        return shape_inference.infer_shapes(model)
    return model


def with_functions(model: Any, chance: random.Random) -> Any:
    """Some nodes become calls of functions of the model."""
    plain = [node for node in model.graph.node if node.op_type not in NOT_INSIDE and _whole(node)]
    for number, node in enumerate(chance.sample(plain, min(3, len(plain)))):
        body = type(node)()
        body.CopyFrom(node)
        taken = [f"a{place}" for place in range(len(node.input))]
        given = [f"b{place}" for place in range(len(node.output))]
        body.input[:], body.output[:] = taken, given
        name = f"function_{number}"
        opsets = list(model.opset_import)
        model.functions.append(helper.make_function(LOCAL, name, taken, given, [body], opsets))
        node.op_type, node.domain = name, LOCAL
        del node.attribute[:]
    if model.functions:
        model.opset_import.append(helper.make_opsetid(LOCAL, 1))
    return model


def _whole(node: Any) -> bool:
    """Nothing left out, and no body that reads what only the graph around it knows."""
    bodies = any(attribute.HasField("g") for attribute in node.attribute)
    return not bodies and all(node.input) and all(node.output)


def with_initializers_as_inputs(model: Any) -> Any:
    """As files up to IR version 3 had to: each is an input with a default."""
    for tensor in model.graph.initializer:
        described = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        model.graph.input.append(described)
    return model
