"""Random nodes: elements that move, repeat or are left out."""

import numpy as np

from tests.rows.making import Case, Chance, floats, maker, one_of, shape_with_rows
from tests.rows.onnx_graphs import ints, node


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
def triangle(chance: Chance) -> Case:
    return Case([node("Trilu", "x", "y")], {"x": ("f", shape_with_rows(chance, 3))})


@maker
def reversed_sequences(chance: Chance) -> Case:
    shape = one_of(chance, [[3, "N", 2], ["N", 3, 2], [3, 2, "N"]])
    lengths = one_of(chance, [["N"], [2], [3]])
    batch = chance.randint(0, 1)
    nodes = [node("ReverseSequence", "x l", "y", batch_axis=batch, time_axis=1 - batch)]
    return Case(nodes, {"x": ("f", shape), "l": ("i", lengths)})
