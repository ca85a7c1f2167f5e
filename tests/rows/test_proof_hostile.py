"""Files that are broken, absurd or made to hurt: nothing is proved, soon, and nothing is raised."""

import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper

from tests.rows.onnx_graphs import graph, ints, model, node, proofs
from tests.rows.operator_cases import MAKERS
from trtasync.rows.proof import Proof, dynamic_quantization, prove, random_operators

ROW = ["N", 4]


def judged(made: Any, **axes: int | None) -> dict[str, Proof]:
    """The proof, which must not take long."""
    start = time.process_time()  # of this process, whatever others do
    found = prove(made, {"x": 0, **axes})
    assert time.process_time() - start < 20
    return found


@pytest.mark.parametrize("size", [2**20, 2**40, 2**62, -1, -(2**63)])
@pytest.mark.parametrize("operator", ["ConstantOfShape", "Expand", "Tile"])
def test_lengths_beyond_memory_are_only_lengths(operator: str, size: int) -> None:
    inputs = "s" if operator == "ConstantOfShape" else "c s"
    nodes = [node(operator, inputs, "z"), node("Relu", "x", "y")]
    constants = {"s": ints(size, size), "c": np.ones((1, 1))}
    assert proofs(nodes, {"x": ROW}, constants)["y"].axis == 0
    joined = [nodes[0], node("Mul", "x z", "y")]
    assert proofs(joined, {"x": ROW}, constants)["y"].axis is None


def test_numbers_without_end_are_not_counted() -> None:
    constants = {"zero": np.int64(0), "most": np.int64(2**62), "one": np.int64(1)}
    nodes = [node("Range", "zero most one", "z"), node("Add", "x z", "y")]
    assert proofs(nodes, {"x": ("i", ["N"])}, constants)["y"].axis is None


def test_lengths_that_grow_without_end() -> None:
    nodes = [node("Concat", "x x", "z0", axis=1)]
    nodes += [node("Concat", f"z{i} z{i}", f"z{i + 1}", axis=1) for i in range(200)]
    made = model([*nodes, node("Relu", "z200", "y")], {"x": ROW}, "y")
    assert judged(made)["y"].axis is None


def test_shapes_multiplied_without_end() -> None:
    nodes = [node("Shape", "x", "s0")]
    for step in range(300):
        operator = ("Mul", "Add")[step % 2]
        nodes.append(node(operator, f"s{step} s{step}", f"s{step + 1}"))
    nodes.append(node("Reshape", "x s300", "y"))
    assert judged(model(nodes, {"x": ["N", "T", "U"]}, "y"))["y"].axis is None


def test_broken_constants() -> None:
    made = model([node("Add", "x c", "y")], {"x": ROW}, "y", {"c": np.ones(4, np.float32)})
    [tensor] = made.graph.initializer
    tensor.raw_data = b"\0\0\0"
    assert "'c' is stored with elements that cannot be read" in judged(made)["y"].why
    del tensor.dims[:]
    tensor.dims.append(-4)
    assert "'c' is stored with a negative length" in judged(made)["y"].why


def test_weights_in_files_that_are_not_there() -> None:
    made = model([node("MatMul", "x w", "y")], {"x": ROW}, "y")
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4, 2**33])
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="gone.bin")
    made.graph.initializer.append(weight)
    assert judged(made)["y"] == Proof(0)


def test_names_are_told_without_their_control_characters() -> None:
    made = model([node("Ca\x1b[2Jt\n", "x", "y\x1b\x07")], {"x": ROW}, "y\x1b\x07")
    [proof] = judged(made).values()
    assert proof.why.isprintable()
    assert proof.why == r"Ca\x1b[2Jt\n 'y\x1b\x07' has no rule"
    made = model([node("Relu", "\x1b", "y")], {"x": ROW}, "y")
    assert judged(made)["y"].why.isprintable()
    made = model([node("x" * 10_000, "x", "z" * 10_000)], {"x": ROW}, "z" * 10_000)
    assert all(len(proof.why) < 300 for proof in judged(made).values())


def test_nodes_in_disorder_and_in_circles() -> None:
    nodes = [node("Relu", "z", "y"), node("Relu", "x", "z")]
    assert "'z' is made by no node before it is read" in proofs(nodes, {"x": ROW})["y"].why
    assert proofs(node("Add", "x y", "y"), {"x": ROW})["y"].axis is None


@pytest.mark.parametrize("operator", ["If", "Loop", "Scan", "Reshape", "Concat", "Gemm", "Conv"])
def test_nodes_that_lack_everything(operator: str) -> None:
    for inputs in ("", "x", "x x x x x x x x x", "- - x"):
        for outputs in ("y", "y a b c d e f"):
            made = model([node(operator, inputs, outputs)], {"x": ROW}, "y")
            assert judged(made)["y"].axis is None


@pytest.mark.parametrize("depth", [5, 20])
def test_branches_within_branches(depth: int) -> None:
    """Whose rows lie differently, so that every way may have to be followed."""
    turned = graph([node("Transpose", "x", "out")], {}, "out")
    inner = graph([node("Relu", "x", "out")], {}, "out")
    for _ in range(depth):
        ways = [
            node("If", "c", f"i{each}", then_branch=turned, else_branch=turned if each else inner)
            for each in range(6)
        ]
        both = node("Sum", " ".join(f"i{each}" for each in range(6)), "out")
        inner = graph([*ways, both], {}, "out")
    nodes = [node("If", "c", "y", then_branch=inner, else_branch=turned)]
    made = model(nodes, {"x": ROW, "c": ("b", [])}, "y")
    assert judged(made, c=None)["y"].axis is None


def test_loops_within_loops() -> None:
    state = {"t": ("i", []), "g": ("b", []), "s": ROW}
    go = node("Identity", "g", "go")
    inner = graph([go, node("Concat", "s x", "out", axis=1)], state, "go out")
    for _ in range(20):
        inner = graph([go, node("Loop", "n g s", "out", body=inner)], state, "go out")
    made = model([node("Loop", "n - x", "y", body=inner)], {"x": ROW}, "y", {"n": np.int64(3)})
    judged(made)


def test_functions_that_double() -> None:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    functions = []
    for level in range(20):
        name = f"f{level + 1}" if level < 19 else "Last"
        domain = "own" if level < 19 else ""
        operator = name if level < 19 else "Relu"
        nodes = [node(operator, "a", "m", domain=domain), node(operator, "m", "b", domain=domain)]
        functions.append(helper.make_function("own", f"f{level}", ["a"], ["b"], nodes, opsets))
    made = model([node("f0", "x", "y", domain="own")], {"x": ROW}, "y", functions=functions)
    assert "more effort" in judged(made)["y"].why


def test_more_axes_than_any_tensor_has() -> None:
    constants = {"a": ints(*range(200))}
    assert proofs(node("Unsqueeze", "x a", "y"), {"x": ROW}, constants)["y"].axis is None
    made = model([node("Relu", "x", "y")], {"x": ["N", *[1] * 5000]}, "y")
    judged(made)


@pytest.mark.parametrize("maker", list(MAKERS))
def test_files_with_flipped_bytes(maker: str) -> None:
    chance = random.Random(maker)
    for _ in range(20):
        case = MAKERS[maker](chance)
        made = model(case.nodes, case.inputs, case.outputs, case.constants, case.opset)
        data = bytearray(made.SerializeToString())
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            broken = onnx.load_model_from_string(bytes(data))
        except DecodeError:
            continue
        axes = {value.name: 0 for value in broken.graph.input}
        for proof in prove(broken, axes).values():
            assert proof.axis is not None or proof.why.isprintable()
        random_operators(broken)
        dynamic_quantization(broken)


NOISE: list[Callable[[], Any]] = [
    lambda: node("RandomNormal", "", "r", shape=[2]),
    lambda: node("RandomUniformLike", "x", "r"),
    lambda: node("Bernoulli", "x", "r"),
    lambda: node("Multinomial", "x", "r"),
    lambda: node("Dropout", "x ratio on", "r"),
    lambda: node("Dropout", "x ratio unknown", "r"),
]


@pytest.mark.parametrize("noise", NOISE)
def test_random_operators_are_found_wherever_they_are(noise: Callable[[], Any]) -> None:
    constants = {"ratio": np.float32(0.5), "on": np.array(True), "c": np.array(True)}
    inputs = {"x": ROW, "unknown": ("b", [])}
    plain = model([noise()], inputs, "r", constants, opset=17)
    inner = graph([noise()], {}, "r")
    within = model(
        [node("If", "c", "r", then_branch=inner, else_branch=inner)], inputs, "r", constants
    )
    own = helper.make_function("own", "f", ["x"], ["r"], [noise()], [helper.make_opsetid("", 17)])
    called = model([node("f", "x", "r", domain="own")], inputs, "r", functions=[own])
    name = f"{noise().op_type} 'r'"
    assert random_operators(plain) == [name]
    assert random_operators(within) == [name, name]
    assert random_operators(called) == [name]
    assert prove(plain, {"x": 0, "unknown": None})["r"].axis is None


def test_what_does_not_draw_is_not_random() -> None:
    constants = {"ratio": np.float32(0.5), "off": np.array(False)}
    nodes = [node("Dropout", "x", "a"), node("Dropout", "x ratio off", "y"), node("Relu", "x", "b")]
    assert random_operators(model(nodes, {"x": ROW}, "y", constants)) == []
    assert random_operators(model(nodes[:1], {"x": ROW}, "a", opset=6)) == ["Dropout 'a'"]


def test_dynamic_quantization_is_told_by_its_operators() -> None:
    nodes = [
        node("DynamicQuantizeLinear", "x", "q s z"),
        node("DynamicQuantizeMatMul", "x w", "y", domain="com.microsoft"),
        node("QuantizeLinear", "x s", "k"),
    ]
    found = dynamic_quantization(model(nodes, {"x": ROW}, "y"))
    assert found == ["DynamicQuantizeLinear 'q'", "com.microsoft.DynamicQuantizeMatMul 'y'"]
