"""Which graphs are proved to be row by row, and which must not be; by family of operators."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from onnx import TensorProto, helper

from tests.rows.onnx_graphs import floats, graph, ints, node, proofs


class Example(NamedTuple):
    """A graph: nodes, inputs with the rows along "N", constants, and the operator set."""

    nodes: Any
    inputs: dict[str, Any]
    constants: dict[str, Any] | None = None
    opset: int = 17


ROW = ["N", 4]
IMAGE = ["N", 3, 8, 8]
SEQUENCE = [5, "N", 4]

PROVED: dict[str, tuple[Example, int]] = {
    "a layer": (
        Example(node("Gemm", "x w b", "y"), {"x": ROW}, {"w": np.ones((4, 2)), "b": np.ones(2)}),
        0,
    ),
    "a turned matrix": (
        Example(node("Gemm", "x w", "y", transA=1), {"x": [4, "N"]}, {"w": np.ones((4, 2))}),
        0,
    ),
    "columns": (Example(node("MatMul", "w x", "y"), {"x": [4, "N"]}, {"w": np.ones((2, 4))}), 1),
    "attention": (
        Example(node("MatMul", "x z", "y"), {"x": ["N", 2, 5, 4], "z": ["N", 2, 4, 5]}),
        0,
    ),
    "a shared scalar": (Example(node("Mul", "x s", "y"), {"x": ROW, "s": []}), 0),
    "rows along axis 1": (Example(node("Softmax", "x", "y"), {"x": [2, "N", 4]}), 1),
    "rows transposed": (
        Example(node("Transpose", "x", "y", perm=[1, 2, 0]), {"x": ["N", 3, 2]}),
        2,
    ),
    "a convolution": (
        Example(node("Conv", "x w", "y"), {"x": IMAGE}, {"w": np.ones((2, 3, 3, 3))}),
        0,
    ),
    "pooling": (Example(node("MaxPool", "x", "y", kernel_shape=[2, 2]), {"x": IMAGE}), 0),
    "resizing": (
        Example(
            node("Resize", "x - s", "y", mode="linear"),
            {"x": IMAGE},
            {"s": floats(1, 1, 2, 2)},
        ),
        0,
    ),
    "a softmax of old": (Example(node("Softmax", "x", "y"), {"x": ["N", 3, 4]}, opset=11), 0),
    "an embedding": (
        Example(node("Gather", "w x", "y"), {"x": ("i", ["N", 7])}, {"w": np.ones((9, 4))}),
        0,
    ),
    "a running sum of a row": (
        Example(node("CumSum", "x a", "y"), {"x": ROW}, {"a": np.int64(1)}),
        0,
    ),
    "a row sorted": (
        Example(node("TopK", "x k", "y i", axis=1), {"x": ROW}, {"k": ints(2)}),
        0,
    ),
    "normalization in use": (
        Example(node("BatchNormalization", "x a a a a", "y"), {"x": IMAGE}, {"a": np.ones(3)}),
        0,
    ),
    "one scale for all": (
        Example(node("QuantizeLinear", "x s", "y"), {"x": ROW}, {"s": np.float32(1)}),
        0,
    ),
    "dropout in use": (Example(node("Dropout", "x", "y"), {"x": ROW}), 0),
    "a scale per feature": (
        Example(
            node("Scaler", "x", "y", domain="ai.onnx.ml", scale=[1.0] * 4, offset=[0.0] * 4),
            {"x": ROW},
        ),
        0,
    ),
    "nothing to reduce": (
        Example(
            node("ReduceSum", "x a", "y", noop_with_empty_axes=1),
            {"x": ROW},
            {"a": np.zeros(0, np.int64)},
        ),
        0,
    ),
    "einsum": (
        Example(
            node("Einsum", "x w", "y", equation="bi,io->ob"), {"x": ROW}, {"w": np.ones((4, 2))}
        ),
        1,
    ),
    "merged and parted": (
        Example(
            [
                node("Shape", "x", "all"),
                node("Reshape", "x rows", "z"),
                node("MatMul", "z w", "v"),
                node("Reshape", "v all", "y"),
            ],
            {"x": ["N", "T", 4]},
            {"rows": ints(-1, 4), "w": np.ones((4, 4))},
        ),
        0,
    ),
    "time first, merged and parted": (
        Example(
            [
                node("Shape", "x", "all"),
                node("Reshape", "x rows", "z"),
                node("Relu", "z", "v"),
                node("Reshape", "v all", "y"),
            ],
            {"x": ["T", "N", 4]},
            {"rows": ints(-1, 4)},
        ),
        1,
    ),
    "heads": (
        Example(
            [node("Reshape", "x heads", "z"), node("Transpose", "z", "y", perm=[0, 2, 1, 3])],
            {"x": ["N", "T", 8]},
            {"heads": ints(0, 0, 2, 4)},
        ),
        0,
    ),
    "a state of zeros for all rows": (
        Example(
            [
                node("Shape", "x", "all"),
                node("Gather", "all one", "n"),
                node("Concat", "directions n width", "s", axis=0),
                node("ConstantOfShape", "s", "h"),
                node("GRU", "x w r - - h", "y", hidden_size=2),
            ],
            {"x": SEQUENCE},
            {
                "one": ints(1),
                "directions": ints(1),
                "width": ints(2),
                "w": np.ones((1, 6, 4)),
                "r": np.ones((1, 6, 2)),
            },
        ),
        2,
    ),
    "the last word of each text": (
        Example(
            [
                node("Shape", "x", "all"),
                node("Gather", "all zero", "n"),
                node("Range", "zero n one", "row"),
                node("Unsqueeze", "row ax", "rows"),
                node("Unsqueeze", "last ax", "lasts"),
                node("Concat", "rows lasts", "where", axis=-1),
                node("GatherND", "x where", "y"),
            ],
            {"x": ["N", "T", 4], "last": ("i", ["N"])},
            {"zero": np.int64(0), "one": np.int64(1), "ax": ints(1)},
        ),
        0,
    ),
}

COUPLED: dict[str, tuple[Example, str]] = {
    "a running sum of rows": (
        Example(node("CumSum", "x a", "y"), {"x": ROW}, {"a": np.int64(0)}),
        "CumSum 'y' accumulates along the rows",
    ),
    "rows sorted": (
        Example(node("TopK", "x k", "y i", axis=0), {"x": ROW}, {"k": ints(2)}),
        "sorts along the rows",
    ),
    "softmax over rows": (
        Example(node("Softmax", "x", "y", axis=0), {"x": ROW}),
        "normalizes along the rows",
    ),
    "softmax of old, flattened": (
        Example(node("Softmax", "x", "y", axis=1), {"x": [2, "N", 4]}, opset=11),
        "normalizes along the rows",
    ),
    "similarities of rows": (
        Example([node("Transpose", "x", "t"), node("MatMul", "x t", "y")], {"x": ROW}),
        "multiplies rows by one another",
    ),
    "a sum over rows": (
        Example(node("MatMul", "w x", "y"), {"x": ROW}, {"w": np.ones((2, 3))}),
        "sums products along the rows",
    ),
    "training": (
        Example(
            node("BatchNormalization", "x a a a a", "y m v", training_mode=1),
            {"x": IMAGE},
            {"a": np.ones(3)},
        ),
        "training mode",
    ),
    "training of old": (
        Example(
            node("BatchNormalization", "x a a a a", "y m v"), {"x": IMAGE}, {"a": np.ones(3)}, 9
        ),
        "training mode",
    ),
    "dropout in training": (
        Example(
            node("Dropout", "x r t", "y"), {"x": ROW}, {"r": np.float32(0.5), "t": np.array(True)}
        ),
        "draws random numbers",
    ),
    "dropout that may train": (
        Example(node("Dropout", "x r t", "y"), {"x": ROW, "t": ("b", [])}, {"r": np.float32(0.5)}),
        "draws random numbers",
    ),
    "noise": (
        Example([node("RandomNormalLike", "x", "z"), node("Add", "x z", "y")], {"x": ROW}),
        "RandomNormalLike 'z' draws random numbers",
    ),
    "dynamic quantization": (
        Example(node("DynamicQuantizeLinear", "x", "y s z"), {"x": ROW}),
        "scales all rows by the largest element",
    ),
    "the floor of a batch": (
        Example([node("ReduceMax", "x", "m", keepdims=1), node("Max", "x m", "y")], {"x": ROW}),
        "ReduceMax 'm' reduces along the rows",
    ),
    "places of a pool": (
        Example(node("MaxPool", "x", "z y", kernel_shape=[2, 2]), {"x": IMAGE}),
        "counts places over the whole batch",
    ),
    "the number of rows": (
        Example(
            [
                node("Shape", "x", "s"),
                node("Gather", "s i", "n"),
                node("Cast", "n", "f", to=1),
                node("Div", "x f", "y"),
            ],
            {"x": ROW},
            {"i": np.int64(0)},
        ),
        "computes with the number of rows",
    ),
    "the places of rows": (
        Example(
            [
                node("Shape", "x", "s"),
                node("Gather", "s zero", "n"),
                node("Range", "zero n one", "r"),
                node("Add", "x r", "y"),
            ],
            {"x": ("i", ["N"])},
            {"zero": np.int64(0), "one": np.int64(1)},
        ),
        "it depends on the places of the rows",
    ),
    "a matrix": (
        Example(node("Softmax", "x", "y", axis=0), {"x": ["N", "N"]}),
        "normalizes along the rows",
    ),
    "a bias per row": (
        Example(node("Add", "x b", "y"), {"x": ROW, "b": ["M", 1]}),
        "other elements along them",
    ),
    "some of the rows": (
        Example(
            node("Slice", "x s e a", "y"),
            {"x": ROW},
            {"s": ints(0), "e": ints(1), "a": ints(0)},
        ),
        "takes some of the rows",
    ),
    "rows in reverse": (
        Example(
            node("Slice", "x s e a t", "y"),
            {"x": ROW},
            {
                "s": ints(-1),
                "e": ints(-(2**63)),
                "a": ints(0),
                "t": ints(-1),
            },
        ),
        "takes some of the rows",
    ),
    "as many columns as rows": (
        Example(
            [
                node("Shape", "x", "s"),
                node("Gather", "s i", "n"),
                node("Slice", "x start n a", "y"),
            ],
            {"x": ROW},
            {"i": ints(0), "start": ints(0), "a": ints(1)},
        ),
        "is shaped by the number of rows",
    ),
    "one more row": (
        Example(node("Pad", "x p", "y"), {"x": ROW}, {"p": ints(0, 0, 1, 0)}),
        "appends elements to the rows",
    ),
    "rows twice": (
        Example(node("Concat", "x x", "y", axis=0), {"x": ROW}),
        "appends elements to the rows",
    ),
    "rows repeated": (
        Example(node("Tile", "x t", "y"), {"x": ROW}, {"t": ints(2, 1)}),
        "repeats the rows",
    ),
    "a fixed number of rows": (
        Example(node("Reshape", "x s", "y"), {"x": ROW}, {"s": ints(2, -1)}),
        "cannot be found again",
    ),
    "rows mixed by a reshape": (
        Example(
            [node("Reshape", "x s", "z"), node("Reshape", "z t", "y")],
            {"x": ["N", 6]},
            {"s": ints(-1), "t": ints(2, -1)},
        ),
        "cannot be found again",
    ),
    "rows left merged": (
        Example(node("Reshape", "x s", "y"), {"x": ROW}, {"s": ints(-1)}),
        "its rows are merged with another axis",
    ),
    "any axis of length 1": (
        Example(node("Squeeze", "x", "y"), {"x": ["N", 1, 4]}),
        "those of a single row too",
    ),
    "a state that is not per row": (
        Example(
            node("GRU", "x w r - - h", "z y", hidden_size=2),
            {"x": SEQUENCE},
            {"w": np.ones((1, 6, 4)), "r": np.ones((1, 6, 2)), "h": np.ones((1, 1, 2))},
        ),
        "lacks rows",
    ),
    "steps for rows": (
        Example(
            node("GRU", "x w r", "y", hidden_size=2),
            {"x": ["N", 5, 4]},
            {"w": np.ones((1, 6, 4)), "r": np.ones((1, 6, 2))},
        ),
        "goes through the rows",
    ),
    "resized rows": (
        Example(
            node("Resize", "x - s", "y"), {"x": IMAGE}, {"s": np.array([2, 1, 1, 1], np.float32)}
        ),
        "resizes along the rows",
    ),
    "rows as one axis of a plane": (
        Example(
            node("Resize", "x - s", "y", mode="linear"),
            {"x": ROW},
            {"s": np.array([1, 2], np.float32)},
        ),
        "interpolates between rows",
    ),
    "no rule": (Example(node("NonZero", "x", "y"), {"x": ROW}), "NonZero 'y' has no rule"),
    "unknown operator": (
        Example(node("Magic", "x", "y", domain="own"), {"x": ROW}),
        "own.Magic 'y' has no rule",
    ),
    "unknown axes": (
        Example(node("ReduceSum", "x a", "y"), {"x": ROW, "a": ("i", [1])}),
        "axes or lengths that are not known",
    ),
    "a normalizer of one axis": (
        Example(node("Normalizer", "x", "y", domain="ai.onnx.ml"), {"x": ["N"]}),
        "takes rows for features",
    ),
    "the same for all rows": (
        Example(node("Relu", "s", "y"), {"x": ROW, "s": [2]}),
        "it is the same for all rows",
    ),
    "a mean of losses": (
        Example(node("SoftmaxCrossEntropyLoss", "x t", "y"), {"x": ROW, "t": ("i", ["N"])}),
        "all rows together",
    ),
}


@pytest.mark.parametrize("name", list(PROVED))
def test_rows_that_stand_by_themselves_are_proved(name: str) -> None:
    example, axis = PROVED[name]
    proof = proofs(*example)["y"]
    assert (proof.axis, proof.why) == (axis, "")


@pytest.mark.parametrize("name", list(COUPLED))
def test_what_may_be_coupled_is_not_proved_and_the_reason_is_told(name: str) -> None:
    example, why = COUPLED[name]
    proof = proofs(*example)["y"]
    assert proof.axis is None
    assert why in proof.why


def test_each_output_has_its_own_proof() -> None:
    nodes = [node("Relu", "x", "y"), node("ReduceSum", "x a", "z")]
    found = proofs(nodes, {"x": ROW}, {"a": ints(0)}, outputs="y z x")
    assert {name: proof.axis for name, proof in found.items()} == {"y": 0, "z": None, "x": 0}


def test_voice_activity_with_a_state_and_a_shared_rate() -> None:
    """Rows along other axes in state and input; a scalar that decides for all of them."""
    layer = {"w": np.ones((1, 8, 4)), "r": np.ones((1, 8, 2))}
    fast = graph([node("Relu", "x", "f")], {}, "f")
    slow = graph([node("Sigmoid", "x", "g")], {}, "g")
    nodes = [
        node("Equal", "sr rate", "is_fast"),
        node("If", "is_fast", "v", then_branch=fast, else_branch=slow),
        node("Unsqueeze", "v first", "steps"),
        node("LSTM", "steps w r - - state c", "all h cell", hidden_size=2),
        node("Squeeze", "h first", "output"),
        node("Concat", "h cell", "stateN", axis=0),
    ]
    inputs = {"x": ["N", 4], "state": [1, "N", 2], "c": [1, "N", 2], "sr": ("i", [])}
    constants = layer | {"rate": np.int64(16000), "first": ints(0)}
    found = proofs(nodes, inputs, constants, outputs="output stateN")
    assert {name: proof.axis for name, proof in found.items()} == {"output": 0, "stateN": 1}


def test_types_that_hold_no_rows_are_refused_by_name() -> None:
    from trtasync.rows.proof import prove

    tensor = helper.make_tensor_type_proto(TensorProto.FLOAT, [2])
    sequence = helper.make_value_info("x\n", helper.make_sequence_type_proto(tensor))
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    nodes = [helper.make_node("SequenceAt", ["x\n", "i"], ["y"])]
    index = helper.make_tensor("i", TensorProto.INT64, [], [0])
    made = helper.make_model(helper.make_graph(nodes, "g", [sequence], [output], [index]))
    assert prove(made, {"x\n": 0})["y"].why == r"input 'x\n' is no tensor"
    assert "it is not said where its rows lie" in prove(made, {})["y"].why
