"""ONNX files written node by node with `onnx.helper`: the same bytes for the same numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, checker, helper, numpy_helper

OPSET: Final = 17
IR_VERSION: Final = 9

FLOAT: Final = TensorProto.FLOAT
INT64: Final = TensorProto.INT64

Shape = Sequence[int | str]
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Classifier:
    """An 8x8 window's class in two layers: relu(x @ w1 + b1) @ w2 + b2 are the logits.

    Attributes:
        w1: float32 [64, hidden].
        b1: float32 [hidden].
        w2: float32 [hidden, 11].
        b2: float32 [11]; classes 0 to 9 are digits, 10 is blank.
    """

    w1: FloatArray
    b1: FloatArray
    w2: FloatArray
    b2: FloatArray


def write_line(path: Path, classifier: Classifier) -> None:
    """Writes the line reader: image float32 [N, 1, 8, W] -> probs float32 [N, T, 11], T = W - 7.

    Args:
        path: The file to write.
        classifier: What slides over the width, one column at a time.
    """
    nodes, weights = _reader(classifier, "probs")
    _write(
        path,
        nodes,
        weights,
        inputs=[_value("image", FLOAT, ["N", 1, 8, "W"])],
        outputs=[_value("probs", FLOAT, ["N", "T", 11])],
    )


def write_padded_line(path: Path, classifier: Classifier) -> None:
    """Writes the line reader for padded batches: a second input tells each row's true width.

    Inputs are image float32 [N, 1, 8, W] and width int64 [N], in columns; the output is that of
    `write_line`, with positions t >= width - 7 certain blanks.

    Args:
        path: The file to write.
        classifier: What slides over the width, one column at a time.
    """
    nodes, weights = _reader(classifier, "read")
    nodes += [
        _node("Shape", ["read"], "t_1d", start=1, end=2),
        _node("Squeeze", ["t_1d", "axis_0"], "t"),
        _node("Range", ["zero", "t", "one"], "position"),
        _node("Sub", ["width", "seven"], "positions"),
        _node("Unsqueeze", ["positions", "axis_1"], "positions_column"),
        _node("Less", ["position", "positions_column"], "true_2d"),
        _node("Unsqueeze", ["true_2d", "axis_2"], "true"),
        _node("Where", ["true", "read", "blank"], "probs"),
    ]
    weights |= {
        "axis_0": np.array([0], np.int64),
        "axis_1": np.array([1], np.int64),
        "zero": np.array(0, np.int64),
        "one": np.array(1, np.int64),
        "seven": np.array([7], np.int64),
        "blank": np.eye(11, dtype=np.float32)[10],
    }
    _write(
        path,
        nodes,
        weights,
        inputs=[_value("image", FLOAT, ["N", 1, 8, "W"]), _value("width", INT64, ["N"])],
        outputs=[_value("probs", FLOAT, ["N", "T", 11])],
    )


def _reader(classifier: Classifier, output: str) -> tuple[list[Any], dict[str, npt.NDArray[Any]]]:
    """The classifier as two convolutions: nodes from `image` to `output`, and their weights."""
    hidden = len(classifier.b1)
    nodes = [
        _node("Conv", ["image", "w1", "b1"], "windows", kernel_shape=[8, 8]),
        _node("Relu", ["windows"], "hidden"),
        _node("Conv", ["hidden", "w2", "b2"], "logits_4d", kernel_shape=[1, 1]),
        _node("Squeeze", ["logits_4d", "axis_2"], "logits_by_class"),
        _node("Transpose", ["logits_by_class"], "logits", perm=[0, 2, 1]),
        _node("Softmax", ["logits"], output, axis=-1),
    ]
    weights: dict[str, npt.NDArray[Any]] = {
        "w1": classifier.w1.T.reshape(hidden, 1, 8, 8),
        "b1": classifier.b1,
        "w2": classifier.w2.T.reshape(11, hidden, 1, 1),
        "b2": classifier.b2,
        "axis_2": np.array([2], np.int64),
    }
    return nodes, weights


def write_pair(path: Path, classifier: Classifier) -> None:
    """Writes "the same digit?": left, right float32 [N, 64] -> same_probability float32 [N].

    It adds up, over the digits, the chance that both images show that digit.

    Args:
        path: The file to write.
        classifier: Tells the digit of each image; its blank class is left out.
    """
    nodes = []
    for side in ("left", "right"):
        nodes += [
            _node("Gemm", [side, "w1", "b1"], f"{side}_windows"),
            _node("Relu", [f"{side}_windows"], f"{side}_hidden"),
            _node("Gemm", [f"{side}_hidden", "w2", "b2"], f"{side}_logits"),
            _node("Softmax", [f"{side}_logits"], f"{side}_probs", axis=-1),
        ]
    nodes += [
        _node("Mul", ["left_probs", "right_probs"], "both"),
        _node("ReduceSum", ["both", "axis_1"], "same_probability", keepdims=0),
    ]
    weights: dict[str, npt.NDArray[Any]] = {
        "w1": classifier.w1,
        "b1": classifier.b1,
        "w2": classifier.w2[:, :10],
        "b2": classifier.b2[:10],
        "axis_1": np.array([1], np.int64),
    }
    _write(
        path,
        nodes,
        weights,
        inputs=[_value("left", FLOAT, ["N", 64]), _value("right", FLOAT, ["N", 64])],
        outputs=[_value("same_probability", FLOAT, ["N"])],
    )


def write_gather(path: Path) -> None:
    """Writes a table look-up: index int64 [N] -> row float32 [N, 4], where row i is 4i to 4i + 3.

    An index outside -16 to 15 makes onnxruntime fail the whole batch.

    Args:
        path: The file to write.
    """
    _write(
        path,
        [_node("Gather", ["table", "index"], "row", axis=0)],
        {"table": np.arange(64, dtype=np.float32).reshape(16, 4)},
        inputs=[_value("index", INT64, ["N"])],
        outputs=[_value("row", FLOAT, ["N", 4])],
    )


def write_mlp(path: Path, width: int = 4096, *, hidden_layers: int = 3, seed: int = 0) -> None:
    """Writes a big random network: x float32 [N, 1024] -> y float32 [N, 10].

    It means nothing. It is for load: reading its weights is most of the work, so a batch costs
    hardly more than one row.

    Args:
        path: The file to write, 151 MB with the default sizes.
        width: Units of a hidden layer.
        hidden_layers: How many of them.
        seed: Of the weights.
    """
    rng = np.random.default_rng(seed)
    sizes = [1024, *[width] * hidden_layers, 10]
    nodes: list[Any] = []
    weights: dict[str, npt.NDArray[Any]] = {}
    source = "x"
    for layer, (rows, columns) in enumerate(pairwise(sizes), 1):
        last = layer == len(sizes) - 1
        target = "y" if last else f"sum_{layer}"
        he_scale = np.float32(np.sqrt(2 / rows))
        weights[f"w{layer}"] = rng.standard_normal((rows, columns), np.float32) * he_scale
        weights[f"b{layer}"] = np.zeros(columns, np.float32)
        nodes.append(_node("Gemm", [source, f"w{layer}", f"b{layer}"], target))
        if not last:
            source = f"hidden_{layer}"
            nodes.append(_node("Relu", [target], source))
    _write(
        path,
        nodes,
        weights,
        inputs=[_value("x", FLOAT, ["N", 1024])],
        outputs=[_value("y", FLOAT, ["N", 10])],
    )


def write_resnet(
    path: Path,
    *,
    stages: Sequence[int] = (3, 4, 6, 3),
    width: int = 64,
    size: int = 224,
    seed: int = 0,
) -> None:
    """Writes a random residual network: image float32 [N, 3, size, size] -> scores [N, 1000].

    By default it has the shape of ResNet-50 with its batch norms folded away: 25.5 million
    weights, 102 MB. It means nothing; it is for load that comes mostly from convolutions.

    Args:
        path: The file to write.
        stages: Bottleneck blocks per stage; every stage after the first halves the image.
        width: Channels of the first stage's inner convolutions; every stage doubles them.
        size: Rows and columns of an image.
        seed: Of the weights.
    """
    network = _Residual(np.random.default_rng(seed))
    last = network.conv("image", 3, width, 7, stride=2, name="stem")
    last = network.add("MaxPool", [last], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    channels = width
    for stage, blocks in enumerate(stages):
        inner = width << stage
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            last = network.bottleneck(last, channels, inner, stride, f"s{stage}b{block}")
            channels = 4 * inner
    last = network.add("Flatten", [network.add("GlobalAveragePool", [last])])
    network.weights["w_scores"] = network.random((channels, 1000), channels)
    network.weights["b_scores"] = np.zeros(1000, np.float32)
    network.nodes.append(_node("Gemm", [last, "w_scores", "b_scores"], "scores"))
    _write(
        path,
        network.nodes,
        network.weights,
        inputs=[_value("image", FLOAT, ["N", 3, size, size])],
        outputs=[_value("scores", FLOAT, ["N", 1000])],
    )


class _Residual:
    """The nodes and weights of a residual network, as it grows."""

    def __init__(self, rng: np.random.Generator):
        self.nodes: list[Any] = []
        self.weights: dict[str, npt.NDArray[Any]] = {}
        self._rng = rng

    def random(self, shape: Sequence[int], inputs: int, scale: float = 2.0) -> FloatArray:
        """He's initial weights for so many inputs per output."""
        deviation = np.float32(np.sqrt(scale / inputs))
        return self._rng.standard_normal(shape, np.float32) * deviation

    def add(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        """One more node; the name of its output."""
        output = f"t{len(self.nodes)}"
        self.nodes.append(_node(kind, inputs, output, **attributes))
        return output

    def conv(
        self,
        source: str,
        channels: int,
        filters: int,
        size: int,
        *,
        stride: int = 1,
        name: str,
        relu: bool = True,
    ) -> str:
        """A convolution that keeps the image's size but for its stride, and a ReLU."""
        shape = (filters, channels, size, size)
        # a branch that is added to another one is damped, or the sums would grow with the depth
        weights = self.random(shape, channels * size * size, 2.0 if relu else 0.2)
        self.weights[f"w_{name}"], self.weights[f"b_{name}"] = (
            weights,
            np.zeros(filters, np.float32),
        )
        output = self.add(
            "Conv",
            [source, f"w_{name}", f"b_{name}"],
            kernel_shape=[size, size],
            strides=[stride, stride],
            pads=[size // 2] * 4,
        )
        return self.add("Relu", [output]) if relu else output

    def bottleneck(self, source: str, channels: int, inner: int, stride: int, name: str) -> str:
        """1x1, 3x3, 1x1, added to its input (or, where the shape changes, to a 1x1 of that)."""
        branch = self.conv(source, channels, inner, 1, name=f"{name}_1")
        branch = self.conv(branch, inner, inner, 3, stride=stride, name=f"{name}_2")
        branch = self.conv(branch, inner, 4 * inner, 1, name=f"{name}_3", relu=False)
        if channels != 4 * inner or stride != 1:
            source = self.conv(
                source, channels, 4 * inner, 1, stride=stride, name=f"{name}_0", relu=False
            )
        return self.add("Relu", [self.add("Add", [branch, source])])


def _node(kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> Any:
    return helper.make_node(kind, inputs, [output], name=f"{kind}_{output}", **attributes)


def _value(name: str, kind: int, shape: Shape) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def _write(
    path: Path,
    nodes: Sequence[Any],
    weights: Mapping[str, npt.NDArray[Any]],
    *,
    inputs: Sequence[Any],
    outputs: Sequence[Any],
) -> None:
    tensors = [
        numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
        for name, array in weights.items()
    ]
    model = helper.make_model(
        # not the file's name: the bytes must not hang on where they are written
        helper.make_graph(nodes, "trtasync_example", inputs, outputs, tensors),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="trtasync-examples",
        producer_version="1",
    )
    checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))
