"""What must not be proved, by family of operators, and the reason that is told."""

import sys

import numpy as np
import pytest
from onnx import TensorProto, helper

from tests.rows.onnx_graphs import Example, ints, model, node, proofs
from trtasync.errors import BackendUnavailable
from trtasync.rows.proof import prove

ROW = ["N", 4]
IMAGE = ["N", 3, 8, 8]
SEQUENCE = [5, "N", 4]

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
    "a square of rows": (
        Example(
            [
                node("Shape", "x", "n", end=1),
                node("Concat", "n n", "s", axis=0),
                node("ConstantOfShape", "s", "y"),
            ],
            {"x": ROW},
        ),
        "whose other lengths depend on the number of rows",
    ),
    "a waveform for rows": (
        Example(
            [node("Unsqueeze", "x front", "z"), node("Conv", "z w", "y")],
            {"x": ["N"]},
            {"front": ints(0, 1), "w": np.ones((8, 1, 4))},
        ),
        "takes rows for something else",
    ),
    "detections": (
        Example(
            [node("Greater", "score limit", "keep"), node("Compress", "x keep", "y", axis=0)],
            {"x": ["N", 6], "score": ["N"]},
            {"limit": np.float32(0.5)},
        ),
        "Compress 'y' has no rule",
    ),
    "a product quantized as it runs": (
        Example(
            [
                node("DynamicQuantizeLinear", "x", "q s z"),
                node("MatMulInteger", "q w z", "p"),
                node("Cast", "p", "f", to=1),
                node("Mul", "f s", "y"),
            ],
            {"x": ROW},
            {"w": np.ones((4, 2), np.int8)},
        ),
        "scales all rows by the largest element among them",
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
        "including the batch axis of a single row",
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
        "iterates over the rows",
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


@pytest.mark.parametrize("name", list(COUPLED))
def test_what_may_be_coupled_is_not_proved_and_the_reason_is_told(name: str) -> None:
    example, why = COUPLED[name]
    proof = proofs(*example)["y"]
    assert proof.axis is None
    assert why in proof.why


def test_types_that_hold_no_rows_are_refused_by_name() -> None:
    tensor = helper.make_tensor_type_proto(TensorProto.FLOAT, [2])
    sequence = helper.make_value_info("x\n", helper.make_sequence_type_proto(tensor))
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    nodes = [helper.make_node("SequenceAt", ["x\n", "i"], ["y"])]
    index = helper.make_tensor("i", TensorProto.INT64, [], [0])
    made = helper.make_model(helper.make_graph(nodes, "g", [sequence], [output], [index]))
    assert prove(made, {"x\n": 0})["y"].why == r"input 'x\n' is no tensor"
    assert "it is not said where its rows lie" in prove(made, {})["y"].why


def test_without_onnx_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    made = model([node("Relu", "x", "y")], {"x": ROW}, "y")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(BackendUnavailable, match="pip install onnx"):
        prove(made, {"x": 0})
