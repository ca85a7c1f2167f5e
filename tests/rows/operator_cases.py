"""Random nodes of one operator each, proved or not, for the comparison with a runtime.

Most have a batch axis in some place or other, so that for every operator both answers occur.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.rows.onnx_graphs import Array, graph, ints, node

Inputs = Mapping[str, tuple[str, Sequence[Any]]]


@dataclass(frozen=True, slots=True)
class Case:
    """A graph of a few nodes.

    Attributes:
        nodes: they make "y", and perhaps "y2", "y3".
        inputs: name -> (letter of the type, shape); "N" is the number of rows.
        constants: name -> array.
        outputs: names of outputs.
        opset: of ONNX.
    """

    nodes: list[Any]
    inputs: Inputs
    constants: Mapping[str, Array] = field(default_factory=dict)
    outputs: str = "y"
    opset: int = 17


Chance = random.Random
Maker = Callable[[Chance], Case]
MAKERS: dict[str, Maker] = {}


def one_of(chance: Chance, options: Sequence[Any]) -> Any:
    return chance.choice(options)


def maker(function: Maker) -> Maker:
    MAKERS[function.__name__] = function
    return function


def shape_with_rows(chance: Chance, rank: int, axis: int | None = None) -> list[Any]:
    """Lengths of 1 to 3, one of them the number of rows: mostly the first."""
    shape: list[Any] = [one_of(chance, [1, 2, 3]) for _ in range(rank)]
    if rank:
        at = one_of(chance, [0, 0, *range(rank)]) if axis is None else axis
        shape[at] = "N"
    return shape


def floats(chance: Chance, *shape: int) -> Array:
    return np.random.default_rng(chance.randrange(2**32)).normal(size=shape).astype(np.float32)


@maker
def unary(chance: Chance) -> Case:
    operator = one_of(
        chance, ["Relu", "Sigmoid", "Exp", "Neg", "Identity", "Softplus", "HardSwish"]
    )
    shape = shape_with_rows(chance, chance.randint(1, 4))
    return Case([node(operator, "x", "y")], {"x": ("f", shape)})


@maker
def binary(chance: Chance) -> Case:
    operator = one_of(chance, ["Add", "Mul", "Sub", "Max", "Pow", "PRelu"])
    one = shape_with_rows(chance, chance.randint(1, 4))
    other = [one_of(chance, [1, size]) for size in one][chance.randint(0, 1) :]
    if chance.random() < 0.3:
        other = shape_with_rows(chance, chance.randint(1, 3))
    nodes = [node(operator, "x w", "y")]
    return Case(nodes, {"x": ("f", one), "w": ("f", other)})


@maker
def where(chance: Chance) -> Case:
    shape = shape_with_rows(chance, 3)
    other = [one_of(chance, [1, size]) for size in shape]
    return Case(
        [node("Where", "c x w", "y")],
        {"c": ("b", shape), "x": ("f", other), "w": ("f", shape[chance.randint(0, 2) :])},
    )


@maker
def transposed(chance: Chance) -> Case:
    rank = chance.randint(1, 4)
    order = chance.sample(range(rank), rank)
    shape = shape_with_rows(chance, rank)
    return Case([node("Transpose", "x", "y", perm=order)], {"x": ("f", shape)})


@maker
def reshaped(chance: Chance) -> Case:
    shape = one_of(
        chance,
        [["N", 4, 3], ["N", 2, 6], [2, "N", 6], [3, "N"], ["N", 12], [2, 2, "N"], [1, "N", 6]],
    )
    target = one_of(
        chance,
        [
            *((-1, 12), (-1, 6), (-1, 3), (0, -1), (0, 0, -1), (-1,), (1, -1), (2, -1), (3, -1)),
            *((0, 2, -1), (-1, 2, 3), (2, -1, 6), (4, -1), (-1, 4), (1, -1, 6), (-1, 1, 2)),
        ],
    )
    nodes = [node("Reshape", "x s", "y")]
    if chance.random() < 0.4:
        back = one_of(chance, [(-1, 4, 3), (2, -1), (2, -1, 3), (-1, 12), (3, -1), (-1, 2)])
        nodes = [node("Reshape", "x s", "z"), node("Relu", "z", "r"), node("Reshape", "r t", "y")]
        return Case(nodes, {"x": ("f", shape)}, {"s": ints(*target), "t": ints(*back)})
    return Case(nodes, {"x": ("f", shape)}, {"s": ints(*target)})


@maker
def reshaped_by_shape(chance: Chance) -> Case:
    """A shape computed from the input's own."""
    shape = one_of(chance, [["N", 4, 3], [4, "N", 3], ["N", "T", 6], ["T", "N", 6]])
    picked = chance.randint(0, 2)
    rest = one_of(chance, [(-1,), (2, -1), (-1, 3), (6,)])
    target = "p r" if chance.random() < 0.7 else "r p"
    nodes = [
        node("Shape", "x", "all"),
        node("Gather", "all i", "p"),
        node("Concat", target, "s", axis=0),
        node("Reshape", "x s", "z"),
        node(one_of(chance, ["Relu", "Softmax"]), "z", "y"),
    ]
    return Case(nodes, {"x": ("f", shape)}, {"i": ints(picked), "r": ints(*rest)})


@maker
def flattened(chance: Chance) -> Case:
    shape = shape_with_rows(chance, 3)
    return Case([node("Flatten", "x", "y", axis=chance.randint(-2, 3))], {"x": ("f", shape)})


@maker
def squeezed(chance: Chance) -> Case:
    shape = one_of(chance, [["N", 1, 3], [1, "N", 3], [3, 1, "N"], [1, 1, "N"]])
    if chance.random() < 0.3:
        return Case([node("Squeeze", "x", "y")], {"x": ("f", shape)})
    axes = ints(one_of(chance, [0, 1, 2, -2]))
    return Case([node("Squeeze", "x a", "y")], {"x": ("f", shape)}, {"a": axes})


@maker
def unsqueezed(chance: Chance) -> Case:
    shape = shape_with_rows(chance, 2)
    axes = one_of(chance, [(0,), (1,), (-1,), (0, 2), (1, 3), (-1, 0), (-4, 1)])
    return Case([node("Unsqueeze", "x a", "y")], {"x": ("f", shape)}, {"a": ints(*axes)})


@maker
def concatenated(chance: Chance) -> Case:
    shape = shape_with_rows(chance, 3)
    other = list(shape) if chance.random() < 0.7 else shape_with_rows(chance, 3)
    nodes = [node("Concat", "x w", "y", axis=chance.randint(-3, 2))]
    return Case(nodes, {"x": ("f", shape), "w": ("f", other)})


@maker
def split(chance: Chance) -> Case:
    shape = one_of(chance, [["N", 4], [4, "N"], ["N", 4, 2]])
    nodes = [node("Split", "x", "y y2", axis=one_of(chance, [0, 1, -1]))]
    return Case(nodes, {"x": ("f", shape)}, outputs="y y2", opset=13)


@maker
def cut(chance: Chance) -> Case:
    shape = one_of(chance, [["N", 4, 3], [4, "N", 3], [3, 4, "N"]])
    axis = chance.randint(-3, 2)
    start, end = one_of(chance, [0, 0, 1, -2, -1]), one_of(chance, [1, 3, -1, 2**31 - 1, 2**63 - 1])
    step = one_of(chance, [1, 1, 1, 2, -1])
    constants = {"s": ints(start), "e": ints(end), "a": ints(axis), "t": ints(step)}
    return Case([node("Slice", "x s e a t", "y")], {"x": ("f", shape)}, constants)


@maker
def cut_by_rows(chance: Chance) -> Case:
    """An end computed from the number of rows."""
    shape = one_of(chance, [["N", 4, 3], [4, "N", 3]])
    nodes = [
        node("Shape", "x", "all"),
        node("Gather", "all i", "e"),
        node("Slice", "x s e a", "y"),
    ]
    constants = {
        "s": ints(0),
        "i": ints(chance.randint(0, 1)),
        "a": ints(chance.randint(0, 2)),
    }
    return Case(nodes, {"x": ("f", shape)}, constants)


@maker
def padded(chance: Chance) -> Case:
    shape = shape_with_rows(chance, 3)
    pads = [one_of(chance, [0, 0, 1]) for _ in range(6)]
    mode = one_of(chance, ["constant", "edge"])
    return Case([node("Pad", "x p", "y", mode=mode)], {"x": ("f", shape)}, {"p": ints(*pads)})


@maker
def expanded(chance: Chance) -> Case:
    shape = shape_with_rows(chance, 2)
    wanted = one_of(chance, [(1, 1), (2, 1, 1), (1, 3), (3, 1), (2, 3)])
    return Case([node("Expand", "x s", "y")], {"x": ("f", shape)}, {"s": ints(*wanted)})


@maker
def grown(chance: Chance) -> Case:
    """A constant repeated for all rows, joined to them."""
    shape = one_of(chance, [["N", 4], [4, "N"], ["N", 4, 4]])
    how = one_of(chance, ["Expand", "Tile", "ConstantOfShape"])
    nodes = [node("Shape", "x", "s")]
    if how == "ConstantOfShape":
        nodes += [node(how, "s", "z")]
    else:
        nodes += [node(how, "c s", "z")]
    joined = node("Add", "x z", "y") if chance.random() < 0.5 else node("Identity", "z", "y")
    rank = len(shape)
    sizes = [one_of(chance, [1, 1, 4]) for _ in range(rank)]
    return Case([*nodes, joined], {"x": ("f", shape)}, {"c": floats(chance, *sizes)})


@maker
def tiled(chance: Chance) -> Case:
    shape = shape_with_rows(chance, 2)
    repeats = ints(one_of(chance, [1, 1, 2]), one_of(chance, [1, 2]))
    return Case([node("Tile", "x r", "y")], {"x": ("f", shape)}, {"r": repeats})


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
def gathered(chance: Chance) -> Case:
    data = one_of(chance, [["N", 3], [3, "N"], [3, 4]])
    indices = one_of(chance, [["N"], [2], [], ["N", 2]])
    nodes = [node("Gather", "x i", "y", axis=one_of(chance, [0, 1, -1]))]
    return Case(nodes, {"x": ("f", data), "i": ("i", indices)})


@maker
def gathered_elements(chance: Chance) -> Case:
    data = one_of(chance, [["N", 3], [3, "N"], [3, 3]])
    indices = one_of(chance, [["N", 2], [2, "N"], ["N", 3]])
    nodes = [node("GatherElements", "x i", "y", axis=one_of(chance, [0, 1]))]
    return Case(nodes, {"x": ("f", data), "i": ("i", indices)})


@maker
def gathered_nd(chance: Chance) -> Case:
    data = one_of(chance, [["N", 3, 2], [3, "N", 2], [3, 3, "N"], [3, 3]])
    indices = one_of(chance, [["N", 1], [2, 1], ["N", 2, 1], [2, 2], ["N", 2], [3, 1, 1]])
    nodes = [node("GatherND", "x i", "y", batch_dims=one_of(chance, [0, 0, 1]))]
    return Case(nodes, {"x": ("f", data), "i": ("i", indices)})


@maker
def scattered(chance: Chance) -> Case:
    data = one_of(chance, [["N", 3], [3, "N"]])
    indices = one_of(chance, [list(data), ["N", 1]])
    nodes = [node("ScatterElements", "x i u", "y", axis=one_of(chance, [0, 1]))]
    updates = ("f", indices)
    return Case(nodes, {"x": ("f", data), "i": ("i", indices), "u": updates})


@maker
def scattered_nd(chance: Chance) -> Case:
    data = one_of(chance, [["N", 3], [3, "N"]])
    updates = one_of(chance, [[1, "N"], ["N", 3], [1, 3]])
    indices = one_of(chance, [[1, 1], ["N", 1]])
    nodes = [node("ScatterND", "x i u", "y")]
    return Case(nodes, {"x": ("f", data), "i": ("i", indices), "u": ("f", updates)})


@maker
def one_hot(chance: Chance) -> Case:
    shape = one_of(chance, [["N"], ["N", 2], [2, "N"]])
    nodes = [node("OneHot", "i d v", "y", axis=one_of(chance, [-1, 0, 1]))]
    constants = {"d": ints(4), "v": np.array([0, 1], np.float32)}
    return Case(nodes, {"i": ("i", shape)}, constants)


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
def resized(chance: Chance) -> Case:
    shape = one_of(chance, [["N", 2, 3, 3], ["N", 2, 3, 3], ["N", 3], [2, "N", 3, 3]])
    mode = one_of(chance, ["nearest", "linear"])
    scales = [1.0, 1.0, 2.0, 2.0][-len(shape) :]
    if chance.random() < 0.3:
        scales = [2.0, *[1.0] * (len(shape) - 1)]
    how = one_of(chance, ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"])
    nodes = [node("Resize", "x - s", "y", mode=mode, coordinate_transformation_mode=how)]
    return Case(nodes, {"x": ("f", shape)}, {"s": np.array(scales, np.float32)})


@maker
def blocks(chance: Chance) -> Case:
    operator = one_of(chance, ["DepthToSpace", "SpaceToDepth"])
    shape = one_of(chance, [["N", 4, 2, 2], [1, 4, 2, "N"], [1, 4, "N", 2]])
    return Case([node(operator, "x", "y", blocksize=2)], {"x": ("f", shape)})


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
def triangle(chance: Chance) -> Case:
    return Case([node("Trilu", "x", "y")], {"x": ("f", shape_with_rows(chance, 3))})


@maker
def reversed_sequences(chance: Chance) -> Case:
    shape = one_of(chance, [[3, "N", 2], ["N", 3, 2], [3, 2, "N"]])
    lengths = one_of(chance, [["N"], [2], [3]])
    batch = chance.randint(0, 1)
    nodes = [node("ReverseSequence", "x l", "y", batch_axis=batch, time_axis=1 - batch)]
    return Case(nodes, {"x": ("f", shape), "l": ("i", lengths)})


@maker
def quantized(chance: Chance) -> Case:
    shape = shape_with_rows(chance, 2)
    scale = np.array(0.1, np.float32) if chance.random() < 0.5 else np.full(3, 0.1, np.float32)
    zero = np.zeros(scale.shape, np.uint8)
    nodes = [
        node("QuantizeLinear", "x s z", "q", axis=chance.randint(0, 1)),
        node("DequantizeLinear", "q s z", "y", axis=1),
    ]
    return Case(nodes, {"x": ("f", shape)}, {"s": scale, "z": zero})


@maker
def dynamically_quantized(chance: Chance) -> Case:
    shape = shape_with_rows(chance, 2, axis=0)
    return Case([node("DynamicQuantizeLinear", "x", "y y2 y3")], {"x": ("f", shape)}, {}, "y y2 y3")


@maker
def by_rows(chance: Chance) -> Case:
    """Data that count the rows, or tell them by their places."""
    nodes = [node("Shape", "x", "s"), node("Gather", "s i", "n", axis=0)]
    if chance.random() < 0.5:
        nodes += [node("Range", "zero n one", "r"), node("Cast", "r", "f", to=1)]
        nodes += [node("Unsqueeze", "f ax", "c"), node("Add", "x c", "y")]
    else:
        operator = one_of(chance, ["Min", "Div", "Mul", "Mod"])
        nodes += [node(operator, "n k", "m"), node("Cast", "m", "f", to=1)]
        nodes += [node("Mul", "x f", "y")]
    constants = {
        "i": ints(chance.randint(0, 1)).reshape(()),
        "zero": np.array(0, np.int64),
        "one": np.array(1, np.int64),
        "k": np.array(chance.randint(1, 4), np.int64),
        "ax": ints(1),
    }
    return Case(nodes, {"x": ("f", ["N", 3])}, constants)


@maker
def spectra(chance: Chance) -> Case:
    shape = one_of(chance, [["N", 4, 1], [2, "N", 1]])
    if chance.random() < 0.5:
        return Case([node("DFT", "x", "y", axis=one_of(chance, [0, 1]))], {"x": ("f", shape)})
    nodes = [node("STFT", "x step w", "y")]
    constants = {"step": np.array(2, np.int64), "w": np.ones(2, np.float32)}
    return Case(nodes, {"x": ("f", ["N", 4, 1])}, constants)


@maker
def classic(chance: Chance) -> Case:
    operator = one_of(chance, ["Scaler", "Normalizer", "LinearRegressor"])
    attributes = {
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


@maker
def branched(chance: Chance) -> Case:
    """Branches that may change the rank, and what comes after them."""
    inner = [
        node("Relu", "x", "out"),
        node("Softmax", "x", "out", axis=chance.randint(0, 2)),
        node("Transpose", "x", "out", perm=one_of(chance, [(0, 2, 1), (1, 0, 2)])),
        node("Squeeze", "x last", "out"),
    ]
    branches = {
        name: graph([one_of(chance, inner)], {}, "out") for name in ("then_branch", "else_branch")
    }
    nodes = [node("If", "c", "z", **branches), node("Reshape", "z s", "y")]
    constants = {"last": ints(2), "s": ints(*one_of(chance, [(0, -1), (-1, 3), (-1, 1, 3)]))}
    inputs = {"x": ("f", one_of(chance, [["N", 3, 1], [3, "N", 1]])), "c": ("b", [])}
    return Case(nodes, inputs, constants)


@maker
def looped(chance: Chance) -> Case:
    """A state and something collected; the number of turns is known, shared, or that of rows."""
    step = [
        node("Add", "state x", "next"),
        node("Concat", "state x", "next", axis=chance.randint(0, 1)),
        node("CumSum", "state a", "next"),
        node("Transpose", "state", "next"),
    ]
    seen = [node("Relu", "next", "seen"), node("Softmax", "state", "seen", axis=-1)]
    body = graph(
        [node("Identity", "go", "again"), one_of(chance, step), one_of(chance, seen)],
        {"turn": ("i", []), "go": ("b", []), "state": ("f", None)},
        "again next seen",
    )
    shape = one_of(chance, [["N", 3], [3, "N"]])
    turns = one_of(chance, ["three", "turns", "n"])
    nodes = [
        node("Shape", "x", "all"),
        node("Gather", "all zero", "n"),
        node("Loop", f"{turns} - x", "y y2", body=body),
    ]
    constants = {
        "three": np.array(3, np.int64),
        "zero": np.array(shape.index("N"), np.int64),
        "a": np.array(chance.randint(0, 1), np.int64),
    }
    inputs: Inputs = {"x": ("f", shape), "turns": ("i", [])}
    return Case(nodes, inputs, constants, outputs="y y2")


@maker
def scanned(chance: Chance) -> Case:
    step = [node("Add", "state x_t", "next"), node("Softmax", "state", "next", axis=0)]
    body = graph(
        [one_of(chance, step), node("Mul", "next x_t", "seen")],
        {"state": ("f", None), "x_t": ("f", None)},
        "next seen",
    )
    nodes = [
        node(
            "Scan",
            "h x",
            "y y2",
            body=body,
            num_scan_inputs=1,
            scan_input_axes=[chance.randint(0, 2)],
            scan_output_axes=[chance.randint(0, 2)],
        )
    ]
    shape = one_of(chance, [["N", 3, 2], [3, "N", 2], [3, 2, "N"]])
    state = one_of(chance, [["N", 2], ["N", 3], [2], [3, "N"], [1, 1]])
    return Case(nodes, {"h": ("f", state), "x": ("f", shape)}, outputs="y y2")


@maker
def picked_by_row_numbers(chance: Chance) -> Case:
    """x[arange(rows), index], and what looks like it."""
    shape = one_of(chance, [["N", 3, 2], [3, "N", 2]])
    order = one_of(chance, ["rows index", "rows index", "index rows"])
    nodes = [
        node("Shape", "x", "all"),
        node("Gather", "all at", "n"),
        node("Range", "zero n one", "r"),
        node("Unsqueeze", "r last", "rows"),
        node("Unsqueeze", "i last", "index"),
        node("Concat", order, "where", axis=-1),
    ]
    end = one_of(
        chance,
        [
            [node("GatherND", "x where", "y")],
            [node("Gather", "x r", "y", axis=chance.randint(0, 1))],
            [node("Add", "r i", "k"), node("Gather", "x k", "y", axis=chance.randint(0, 1))],
            [node("Identity", "where", "y")],
            [node("Transpose", "where", "t"), node("GatherND", "x t", "y")],
            [node("Gather", "x where", "y")],
            [node("Relu", "where", "y")],
        ],
    )
    constants = {
        "at": np.array(shape.index("N"), np.int64),
        "zero": np.array(one_of(chance, [0, 0, 1]), np.int64),
        "one": np.array(1, np.int64),
        "last": ints(1),
    }
    return Case([*nodes, *end], {"x": ("f", shape), "i": ("i", ["N"])}, constants)
