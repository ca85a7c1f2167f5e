"""Random nodes: indices, branches, loops."""

import numpy as np

from tests.rows.making import Case, Chance, Inputs, maker, one_of
from tests.rows.onnx_graphs import graph, ints, node


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
