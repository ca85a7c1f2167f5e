"""Which graphs are proved to be row by row, by family of operators."""

import numpy as np
import pytest

from tests.rows.onnx_graphs import Example, floats, graph, ints, node, proofs

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


@pytest.mark.parametrize("name", list(PROVED))
def test_rows_that_stand_by_themselves_are_proved(name: str) -> None:
    example, axis = PROVED[name]
    proof = proofs(*example)["y"]
    assert (proof.axis, proof.why) == (axis, "")


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
