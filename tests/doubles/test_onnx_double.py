"""Every rule of the ONNX parser's double bites, and what it has parsed computes the right thing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from support import doubles
from tests.doubles.building import VERSIONS, Kit, X

F32 = np.float32
W = np.arange(8, dtype=F32).reshape(4, 2)


class Parsed(Kit):
    """A kit with a parser."""

    def parse(self, model: bytes, path: Path | None = None) -> list[Any]:
        """What the parser has against a model."""
        parser = self.trt.OnnxParser(self.network, self.logger)
        done = parser.parse(model, None if path is None else str(path))
        errors = [parser.get_error(index) for index in range(parser.num_errors)]
        assert done == (not errors)
        parser.clear_errors()
        assert parser.num_errors == 0
        return errors


@pytest.fixture(params=VERSIONS)
def kit(request: pytest.FixtureRequest) -> Iterator[Parsed]:
    """Of each version."""
    with doubles.install(version=request.param, clean=False) as gpu:
        yield Parsed(gpu)


def model(*nodes: Any, inputs: Any = None, outputs: Any = None, weights: Any = ()) -> Any:
    """By default from x[rows, 4] to y[rows, ?]."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", None])
    tensors = [numpy_helper.from_array(array, name) for name, array in weights]
    graph = helper.make_graph(
        list(nodes) or [helper.make_node("Relu", ["x"], ["y"], name="relu")],
        "graph",
        inputs or [x],
        outputs or [y],
        tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def product() -> Any:
    """y = x @ w."""
    return model(helper.make_node("MatMul", ["x", "w"], ["y"], name="fc"), weights=[("w", W)])


def test_a_parsed_model_computes_what_onnx_runtime_does(kit: Parsed) -> None:
    assert kit.parse(product().SerializeToString()) == []
    (x, y), n = (kit.network.get_input(0), kit.network.get_output(0)), kit.network
    assert (n.num_inputs, n.num_outputs, n.num_layers) == (1, 1, 1)
    assert (tuple(x.shape), tuple(y.shape)) == ((-1, 4), (-1, -1))
    assert (x.get_dimension_name(0), x.get_dimension_name(1)) == ("rows", None)
    assert x.dtype is kit.trt.DataType.FLOAT
    assert n.get_layer(0).name == "fc"
    plan = kit.profile().build()
    assert np.array_equal(kit.run(plan, x=X)["y"], X @ W)
    assert np.array_equal(kit.run(plan, x=X[:1])["y"], X[:1] @ W)


def test_layers_can_be_added_to_a_parsed_model(kit: Parsed) -> None:
    n = kit.network
    assert kit.parse(product().SerializeToString()) == []
    y = n.get_output(0)
    n.unmark_output(y)
    kit.output(n.add_cast(y, kit.trt.DataType.HALF), "half")
    found = kit.run(kit.profile().build(), x=X)
    assert np.array_equal(found["half"], (X @ W).astype(np.float16))


@pytest.mark.parametrize("broken", [b"no model", product().SerializeToString()[:-20]])
def test_what_is_no_onnx(kit: Parsed, broken: bytes) -> None:
    (error,) = kit.parse(broken)
    assert error.code() is kit.trt.ErrorCode.MODEL_DESERIALIZE_FAILED
    assert (error.node(), error.node_name(), error.node_operator()) == (-1, "", "")
    assert "Failed to parse" in error.desc()
    assert kit.lines[0].startswith("ERROR ")


def test_operators_that_the_parser_has_not(kit: Parsed) -> None:
    kit.gpu.builds.unsupported = {"Relu"}
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], name="first"),
        helper.make_node("Tanh", ["a"], ["b"]),
        helper.make_node("Mine", ["b"], ["c"], name="custom", domain="com.example"),
        helper.make_node("Invented", ["c"], ["y"]),
    ]
    errors = kit.parse(model(*nodes).SerializeToString())
    assert [(e.node(), e.node_name(), e.node_operator()) for e in errors] == [
        (0, "first", "Relu"),
        (2, "custom", "Mine"),
        (3, "", "Invented"),
    ]
    codes = [error.code().name for error in errors]
    assert codes == ["UNSUPPORTED_NODE", "INVALID_NODE", "INVALID_NODE"]


def test_a_model_of_doubles_computes_with_floats(kit: Parsed) -> None:
    x, y = (helper.make_tensor_value_info(name, TensorProto.DOUBLE, [1]) for name in "xy")
    assert kit.parse(model(inputs=[x], outputs=[y]).SerializeToString()) == []
    assert kit.network.get_input(0).dtype is kit.trt.DataType.FLOAT
    answer = kit.run(kit.build(), x=np.array([-2.5], np.float32))["y"]
    assert (answer.dtype, answer.tolist()) == (np.float32, [0])


def test_external_weights_lie_beside_the_model(kit: Parsed, tmp_path: Path) -> None:
    path = tmp_path / "big.onnx"
    onnx.save_model(
        product(), path, save_as_external_data=True, location="big.data", size_threshold=0
    )
    assert kit.parse(path.read_bytes(), path) == []
    (tmp_path / "big.data").unlink()  # they were copied
    assert np.array_equal(kit.run(kit.profile().build(), x=X)["y"], X @ W)
    (error,) = Parsed(kit.gpu).parse(path.read_bytes(), path)
    assert "Failed to open the weights" in error.desc()


def test_an_input_that_gives_a_shape_is_a_shape_tensor(kit: Parsed) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])
    shape = helper.make_tensor_value_info("shape", TensorProto.INT64, [2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["a", "b"])
    node = helper.make_node("Reshape", ["x", "shape"], ["y"])
    assert kit.parse(model(node, inputs=[x, shape], outputs=[y]).SerializeToString()) == []
    assert [kit.network.get_input(i).is_shape_tensor for i in (0, 1)] == [False, True]
    profile = kit.builder.create_optimization_profile()
    profile.set_shape("x", (1,), (4,), (8,))
    profile.set_shape_input("shape", (1, 1), (2, 2), (8, 8))
    assert kit.config.add_optimization_profile(profile) == 0
    engine = kit.engine(kit.build())
    assert engine.get_tensor_profile_values(0, "shape") == [[1, 1], [2, 2], [8, 8]]
    found = kit.run(kit.build(), x=X[:2].ravel(), shape=np.array([2, 4]))
    assert np.array_equal(found["y"], X[:2])


def test_sizes_that_depend_on_data(kit: Parsed) -> None:
    y = helper.make_tensor_value_info("y", TensorProto.INT64, [2, "found"])
    node = helper.make_node("NonZero", ["x"], ["y"])
    assert kit.parse(model(node, outputs=[y]).SerializeToString()) == []
    engine = kit.engine(kit.profile().build())
    context = engine.create_execution_context(
        kit.trt.ExecutionContextAllocationStrategy.USER_MANAGED
    )
    assert context.set_input_shape("x", (3, 4))
    assert context.infer_shapes() == []
    assert tuple(context.get_tensor_shape("y")) == (2, -1)
