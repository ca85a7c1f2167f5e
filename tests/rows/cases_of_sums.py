"""Random nodes: elements that are computed from several."""

from typing import Any

import numpy as np

from tests.rows.making import Case, Chance, floats, maker, one_of, shape_with_rows
from tests.rows.onnx_graphs import Array, ints, node


@maker
def reduced(chance: Chance) -> Case:
    operator = one_of(chance, ["ReduceMean", "ReduceMax", "ReduceL2", "ReduceLogSumExp"])
    rank = chance.randint(1, 3)
    axes = one_of(chance, [None, [chance.randint(-rank, rank - 1)], [rank - 1]])
    attributes: dict[str, Any] = {"keepdims": chance.randint(0, 1)}
    if axes is not None:
        attributes["axes"] = axes
    shape = shape_with_rows(chance, rank)
    return Case([node(operator, "x", "y", **attributes)], {"x": ("f", shape)})


@maker
def reduced_by_input(chance: Chance) -> Case:
    shape = shape_with_rows(chance, 3)
    axes = one_of(chance, [(), (0,), (1,), (-1,), (1, 2), (0, 1)])
    attributes: dict[str, Any] = {
        "keepdims": chance.randint(0, 1),
        "noop_with_empty_axes": chance.randint(0, 1),
    }
    nodes = [node("ReduceSum", "x a", "y", **attributes)]
    return Case(nodes, {"x": ("f", shape)}, {"a": ints(*axes)})


@maker
def searched(chance: Chance) -> Case:
    shape = shape_with_rows(chance, 2)
    attributes: dict[str, Any] = {} if chance.random() < 0.3 else {"axis": chance.randint(-2, 1)}
    nodes = [node("ArgMax", "x", "y", keepdims=chance.randint(0, 1), **attributes)]
    return Case(nodes, {"x": ("f", shape)})


@maker
def softmax(chance: Chance) -> Case:
    operator = one_of(chance, ["Softmax", "LogSoftmax", "Hardmax"])
    rank = chance.randint(2, 4)
    attributes: dict[str, Any] = (
        {} if chance.random() < 0.3 else {"axis": chance.randint(-rank, rank - 1)}
    )
    shape = shape_with_rows(chance, rank)
    opset = one_of(chance, [11, 17])
    return Case([node(operator, "x", "y", **attributes)], {"x": ("f", shape)}, opset=opset)


@maker
def accumulated(chance: Chance) -> Case:
    shape = shape_with_rows(chance, 2)
    axis = ints(chance.randint(-2, 1)).reshape(())
    nodes = [node("CumSum", "x a", "y", reverse=chance.randint(0, 1))]
    return Case(nodes, {"x": ("f", shape)}, {"a": axis})


@maker
def sorted_by_topk(chance: Chance) -> Case:
    shape = shape_with_rows(chance, 2)
    nodes = [node("TopK", "x k", "y y2", axis=chance.randint(-2, 1))]
    return Case(nodes, {"x": ("f", shape)}, {"k": ints(1)}, outputs="y y2")


@maker
def normalized(chance: Chance) -> Case:
    operator = one_of(chance, ["LpNormalization", "MeanVarianceNormalization"])
    shape = shape_with_rows(chance, 4)
    attributes: dict[str, Any] = {"axis": chance.randint(-4, 3)}
    if operator.startswith("Mean"):
        attributes = one_of(chance, [{}, {"axes": [2, 3]}, {"axes": [1, 2, 3]}])
    return Case([node(operator, "x", "y", **attributes)], {"x": ("f", shape)})


@maker
def layer_normalized(chance: Chance) -> Case:
    shape = ["N", 4, 3] if chance.random() < 0.7 else [4, "N", 3]
    axis = one_of(chance, [-1, 1, 2, 0])
    scale = floats(chance, *([3] if axis in (-1, 2) else [4, 3]))
    nodes = [node("LayerNormalization", "x w", "y y2 y3", axis=axis)]
    return Case(nodes, {"x": ("f", shape)}, {"w": scale}, outputs="y y2 y3")


@maker
def image_normalized(chance: Chance) -> Case:
    operator = one_of(chance, ["InstanceNormalization", "BatchNormalization", "LRN"])
    shape = one_of(chance, [["N", 2, 3, 4], ["N", 2, 3, 4], [3, 2, "N", 4]])
    constants = {"s": floats(chance, 2), "b": floats(chance, 2), "m": floats(chance, 2)}
    if operator == "LRN":
        return Case([node("LRN", "x", "y", size=3)], {"x": ("f", shape)})
    if operator == "InstanceNormalization":
        return Case([node(operator, "x s b", "y")], {"x": ("f", shape)}, constants)
    constants["v"] = np.abs(floats(chance, 2))
    return Case([node(operator, "x s b m v", "y")], {"x": ("f", shape)}, constants)


@maker
def multiplied(chance: Chance) -> Case:
    one = one_of(chance, [["N", 3], ["N", 2, 3], [2, "N", 3], [3], [2, 3], ["N"], ["N", "N1", 3]])
    other = one_of(chance, [[3, 4], [3, "N"], ["N", 3, 4], [2, 3, "N"], [3], ["N", 4], ["N"]])
    one = [2 if size == "N1" else size for size in one]
    return Case([node("MatMul", "x w", "y")], {"x": ("f", one), "w": ("f", other)})


@maker
def gemm(chance: Chance) -> Case:
    one = one_of(chance, [["N", 3], [3, "N"], ["N", 3], [3, 3]])
    other = one_of(chance, [[3, 4], [4, 3], [3, "N"], ["N", 3]])
    third = one_of(chance, [[4], [1, 4], ["N", 4], [3, 1], ["N", 1], [1]])
    nodes = [node("Gemm", "x w c", "y", transA=chance.randint(0, 1), transB=chance.randint(0, 1))]
    return Case(nodes, {"x": ("f", one), "w": ("f", other), "c": ("f", third)})


@maker
def einsum(chance: Chance) -> Case:
    equation, one, other = one_of(
        chance,
        [
            ("bi,ij->bj", ["N", 3], [3, 4]),
            ("bi,ij->jb", ["N", 3], [3, 4]),
            ("bi,bj->ij", ["N", 3], ["N", 4]),
            ("bi,bj->bij", ["N", 3], ["N", 4]),
            ("bi,ci->bc", ["N", 3], ["N", 3]),
            ("bi,ci->bc", ["N", 3], [2, 3]),
            ("...i,ij->...j", ["N", 2, 3], [3, 4]),
            ("...i,...i->...", ["N", 2, 3], [2, 3]),
            ("bhqd,bhkd->bhqk", ["N", 2, 3, 4], ["N", 2, 3, 4]),
            ("bi,bi", ["N", 3], ["N", 3]),
            ("bi,ij", ["N", 3], [3, 4]),
            ("ib,ij->j", [3, "N"], [3, 4]),
            ("bi,ij->ij", ["N", 3], [3, 4]),
        ],
    )
    nodes = [node("Einsum", "x w", "y", equation=equation)]
    return Case(nodes, {"x": ("f", one), "w": ("f", other)})


@maker
def convolved(chance: Chance) -> Case:
    operator = one_of(chance, ["Conv", "ConvTranspose", "Conv"])
    shape = one_of(chance, [["N", 2, 5], ["N", 2, 5], [2, 2, "N"], ["N", 2, 5, 5]])
    weight = floats(chance, 2, 2, *([2] * (len(shape) - 2)))
    attributes: dict[str, Any] = {"strides": [chance.randint(1, 2)] * (len(shape) - 2)}
    if operator == "Conv" and chance.random() < 0.5:
        attributes["auto_pad"] = one_of(chance, ["SAME_UPPER", "VALID"])
    nodes = [node(operator, "x w", "z", **attributes), node("Flatten", "z", "y")]
    return Case(nodes, {"x": ("f", shape)}, {"w": weight})


@maker
def pooled(chance: Chance) -> Case:
    shape = one_of(chance, [["N", 2, 4, 4], ["N", 2, 4, 4], [2, 2, "N", 4], [2, "N", 4, 4]])
    operator = one_of(chance, ["MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool"])
    if operator.startswith("Global"):
        return Case([node(operator, "x", "y")], {"x": ("f", shape)})
    attributes: dict[str, Any] = {"kernel_shape": [2, 2]}
    if operator == "MaxPool":
        nodes = [node(operator, "x", "y y2", **attributes)]
        return Case(nodes, {"x": ("f", shape)}, outputs="y y2")
    return Case([node(operator, "x", "y", **attributes)], {"x": ("f", shape)})


@maker
def recurrent(chance: Chance) -> Case:
    operator, gates = one_of(chance, [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
    shape = one_of(chance, [[3, "N", 2], [3, "N", 2], ["N", 2, 2]])
    direction, count = one_of(chance, [("forward", 1), ("bidirectional", 2), ("reverse", 1)])
    constants = {
        "w": floats(chance, count, gates * 2, 2),
        "r": floats(chance, count, gates * 2, 2),
    }
    inputs: dict[str, tuple[str, list[Any]]] = {"x": ("f", shape)}
    names = "x w r"
    if chance.random() < 0.5:
        inputs["h"] = ("f", one_of(chance, [[count, "N", 2], [count, 2, 2]]))
        names = "x w r - - h"
    nodes = [node(operator, names, "y y2", hidden_size=2, direction=direction)]
    return Case(nodes, inputs, constants, outputs="y y2")


@maker
def spectra(chance: Chance) -> Case:
    shape = one_of(chance, [["N", 4, 1], [2, "N", 1]])
    if chance.random() < 0.5:
        return Case([node("DFT", "x", "y", axis=one_of(chance, [0, 1]))], {"x": ("f", shape)})
    nodes = [node("STFT", "x step w", "y")]
    constants: dict[str, Array] = {"step": np.array(2, np.int64), "w": np.ones(2, np.float32)}
    return Case(nodes, {"x": ("f", ["N", 4, 1])}, constants)


@maker
def classic(chance: Chance) -> Case:
    operator = one_of(chance, ["Scaler", "Normalizer", "LinearRegressor"])
    attributes: Any = {
        "Scaler": {"offset": [0.5, 1.0, 2.0], "scale": [1.0, 2.0, 3.0]},
        "Normalizer": {"norm": "L2"},
        "LinearRegressor": {"coefficients": [1.0, 2.0, 3.0], "intercepts": [0.5], "targets": 1},
    }[operator]
    shape = one_of(chance, [["N", 3], [2, "N"], ["N"]])
    return Case([node(operator, "x", "y", domain="ai.onnx.ml", **attributes)], {"x": ("f", shape)})


@maker
def grid_sampled(chance: Chance) -> Case:
    grid = one_of(chance, [["N", 2, 2, 2], [3, 2, 2, 2]])
    nodes = [node("GridSample", "x g", "y")]
    return Case(nodes, {"x": ("f", ["N", 1, 3, 3]), "g": ("f", grid)})
