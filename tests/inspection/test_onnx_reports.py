"""Reports of ONNX files, where the command line does not reach."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, TypeProto, helper

from support.helpers import MODELS
from tests.plans.support import GATHER, matrix, save, words, write_branches, write_matmul
from trtasync import BuildError, PlanError, TrtasyncError
from trtasync.inspection import inspect_onnx

FLOAT = TensorProto.FLOAT
SMALL = GATHER.read_bytes()


def model_with(path: Path, inputs: list[Any], outputs: list[Any]) -> Path:
    """A model of one node between the first input and the first output."""
    node = helper.make_node("Identity", [inputs[0].name], [outputs[0].name])
    return save(path, helper.make_graph([node], "g", inputs, outputs))


def value(name: str, shape: Any, kind: int = FLOAT) -> Any:
    """An input or output."""
    return helper.make_tensor_value_info(name, kind, shape)


def test_an_axis_without_a_name_is_dynamic_too(tmp_path: Path) -> None:
    report = inspect_onnx(
        model_with(tmp_path / "m.onnx", [value("x", [None, 4])], [value("y", [None, 4])])
    )
    assert report.inputs[0].shape == (None, 4)
    assert report.profile == "x:1x4/32x4/32x4"


def test_an_input_with_a_default_is_a_weight(tmp_path: Path) -> None:
    path = write_matmul(tmp_path / "m.onnx", matrix())
    report = inspect_onnx(path)
    assert [each.name for each in report.inputs] == ["x"]
    assert report.weight_bytes == matrix().nbytes


def test_nodes_and_weights_of_nested_graphs_count(tmp_path: Path) -> None:
    report = inspect_onnx(write_branches(tmp_path / "m.onnx", matrix(), "m.weights"))
    assert report.operators == {"MatMul": 2, "If": 1}
    assert report.nodes == 3
    assert report.weight_bytes == 2 * matrix().nbytes + 1


def test_the_most_frequent_operator_comes_first() -> None:
    counts = list(inspect_onnx(MODELS / "digits_pair.onnx").operators.values())
    assert counts == sorted(counts, reverse=True)
    assert len(counts) > 3


def test_an_output_without_a_batch_axis_is_not_batched(tmp_path: Path) -> None:
    path = model_with(tmp_path / "m.onnx", [value("x", [None, 4])], [value("y", [4])])
    assert not inspect_onnx(path).batched


def test_an_input_without_a_shape_is_refused_by_name(tmp_path: Path) -> None:
    path = model_with(tmp_path / "m.onnx", [value("x", None)], [value("y", [4])])
    with pytest.raises(PlanError, match="'x' has no shape"):
        inspect_onnx(path)


def test_an_input_that_is_no_tensor_is_refused_by_name(tmp_path: Path) -> None:
    kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(FLOAT, [1]))
    assert isinstance(kind, TypeProto)
    sequence = helper.make_value_info("x", kind)
    with pytest.raises(PlanError, match="'x' is a sequence_type"):
        inspect_onnx(model_with(tmp_path / "m.onnx", [sequence], [value("y", [4])]))


def test_weights_of_an_unknown_type_are_refused_by_name(tmp_path: Path) -> None:
    proto = ModelProto.FromString(SMALL)
    proto.graph.initializer[0].data_type = 99
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(PlanError, match="'table' has the unknown type 99"):
        inspect_onnx(path)


@pytest.mark.parametrize("dims", [[2**62, 2**62], [2**63 - 1], [-1], [2**62] * 101])
def test_weights_of_more_bytes_than_there_can_be_are_refused(
    tmp_path: Path, dims: list[int]
) -> None:
    proto = ModelProto.FromString(SMALL)
    proto.graph.initializer[0].dims[:] = dims
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(PlanError, match=r"'table' (claims more|has a negative)"):
        inspect_onnx(path)


def test_a_tensor_of_more_axes_than_an_array_has_is_refused(tmp_path: Path) -> None:
    deep = value("x", [1] * 101)
    path = model_with(tmp_path / "m.onnx", [deep], [value("y", [1] * 101)])
    with pytest.raises(PlanError, match="'x' has 101 axes"):
        inspect_onnx(path)


def test_a_tensor_of_more_bytes_than_can_be_addressed_is_refused(tmp_path: Path) -> None:
    path = model_with(tmp_path / "m.onnx", [value("x", ["N", 2**62])], [value("y", ["N", 4])])
    with pytest.raises(PlanError, match=r"x: float32\[N, 4611686018427387904\] has"):
        inspect_onnx(path)


NAMES = [b"table", b"index", b"Gather", b"trtasync-examples"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_no_utf_8_is_refused(tmp_path: Path, name: bytes) -> None:
    path = tmp_path / "m.onnx"
    assert name in SMALL
    path.write_bytes(SMALL.replace(name, name[:-1] + b"\xff"))
    with pytest.raises(BuildError, match="a name in it is not UTF-8"):
        inspect_onnx(path)


def test_missing_weights_are_an_error(tmp_path: Path) -> None:
    path = write_matmul(tmp_path / "m.onnx", matrix(), external="m.weights")
    (tmp_path / "m.weights").unlink()
    with pytest.raises(BuildError) as caught:
        inspect_onnx(path)
    words(str(caught.value), "m.weights", "missing")


@given(st.data())
def test_a_damaged_file_is_read_or_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(SMALL)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.onnx"
    path.write_bytes(content)
    try:
        report = inspect_onnx(path)
    except TrtasyncError as error:
        refusal = str(error)
    else:
        refusal = ""
        assert report.bytes == len(content)
    assert not refusal or len(refusal) > 10


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.onnx"
    path.write_bytes(content)
    with pytest.raises(TrtasyncError):
        inspect_onnx(path)
