"""A model file read without its weights, and hashed on the way."""

import hashlib
import re
from io import BytesIO
from pathlib import Path

import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper

from support.helpers import MODELS
from tests.plans.support import matrix, save, write_branches, write_matmul
from trtasync.model.outlines import ELSEWHERE, LONG, MODEL, TENSOR, WINDOW, FileBytes, Kind, outline
from trtasync.plans.contents import CHUNK, Content
from trtasync.plans.onnx_files import read_onnx
from trtasync.plans.sources import read_source

BIG = matrix(rows=256, columns=256)
SMALL = matrix(rows=8, columns=8)


def kinds() -> dict[str, Kind]:
    """All that are known, by name."""
    found: dict[str, Kind] = {}
    waiting = [MODEL]
    while waiting:
        kind = waiting.pop()
        if kind.name not in found:
            found[kind.name] = kind
            waiting += kind.parts.values()
    return found


@pytest.mark.parametrize("kind", kinds().values(), ids=lambda kind: kind.name)
def test_fields_are_those_of_onnx(kind: Kind) -> None:
    fields = getattr(onnx, kind.name).DESCRIPTOR.fields
    known = kinds()
    parts = {
        field.number: field.message_type.name
        for field in fields
        if field.message_type is not None and field.message_type.name in known
    }
    assert {number: part.name for number, part in kind.parts.items()} == parts
    if kind is TENSOR:
        numbers = {field.number for field in fields if field.name.endswith("_data")}
        numbers -= {field.number for field in fields if field.name == "external_data"}
        assert kind.numbers == numbers


def with_weights(path: Path) -> ModelProto:
    """Long numbers, and short ones, in every place where there may be some."""
    attribute = helper.make_node(
        "Constant", [], ["a"], value=numpy_helper.from_array(BIG, "constant")
    )
    graph = helper.make_graph(
        [attribute, helper.make_node("Add", ["x", "small"], ["y"])],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [8, 8])],
        [
            numpy_helper.from_array(BIG, "raw"),
            helper.make_tensor("packed", TensorProto.FLOAT, BIG.shape, BIG.ravel().tolist()),
            numpy_helper.from_array(SMALL, "small"),
        ],
    )
    return onnx.load(save(path, graph))


def test_long_numbers_are_left_out_and_nothing_else(tmp_path: Path) -> None:
    whole = with_weights(tmp_path / "m.onnx")
    data = whole.SerializeToString()
    short = ModelProto.FromString(outline(memoryview(data)))
    assert short.ByteSize() < LONG
    for tensor in (whole.graph.initializer[0], whole.graph.node[0].attribute[0].t):
        tensor.ClearField("raw_data")
    whole.graph.initializer[1].ClearField("float_data")
    assert short == whole


def test_tensors_can_say_that_their_numbers_are_elsewhere(tmp_path: Path) -> None:
    whole = with_weights(tmp_path / "m.onnx")
    short = ModelProto.FromString(outline(memoryview(whole.SerializeToString()), ELSEWHERE))
    raw, packed, small = short.graph.initializer
    constant = short.graph.node[0].attribute[0].t
    assert {each.data_location for each in (raw, packed, constant)} == {TensorProto.EXTERNAL}
    assert small == whole.graph.initializer[2]


def test_a_file_is_read_only_where_it_has_no_weights(tmp_path: Path) -> None:
    data = with_weights(tmp_path / "m.onnx").SerializeToString()
    file = Reading(data)
    assert outline(FileBytes(file)) == outline(memoryview(data))
    assert file.count < 10 * WINDOW < len(data)


def test_a_file_that_becomes_shorter_is_no_model(tmp_path: Path) -> None:
    data = with_weights(tmp_path / "m.onnx").SerializeToString()
    file = BytesIO(data)
    content = FileBytes(file)
    file.truncate(len(data) // 2)
    with pytest.raises(ValueError, match="in the middle of a field"):
        outline(content)


class Reading(BytesIO):
    """A file of which `count` bytes were read."""

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Count them."""
        content = super().read(size)
        self.count += len(content)
        return content


def test_subgraphs_are_walked_too(tmp_path: Path) -> None:
    path = write_branches(tmp_path / "m.onnx", BIG, external="")
    data = path.read_bytes()
    assert len(data) > 2 * BIG.nbytes
    short = outline(memoryview(data))
    assert len(short) < LONG
    branches = [each.g for each in ModelProto.FromString(short).graph.node[0].attribute]
    assert [list(branch.initializer[0].dims) for branch in branches] == [[256, 256]] * 2


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.onnx")), ids=lambda path: path.stem)
def test_real_models_tell_the_same_without_their_weights(path: Path) -> None:
    whole, short = onnx.load(path), read_onnx(path).model
    assert [node.op_type for node in short.graph.node] == [n.op_type for n in whole.graph.node]
    assert [list(each.dims) for each in short.graph.initializer] == [
        list(each.dims) for each in whole.graph.initializer
    ]
    for name in ("input", "output", "value_info"):
        assert list(getattr(short.graph, name)) == list(getattr(whole.graph, name))


@given(st.integers(0, 3000), st.binary(max_size=3))
def test_what_is_broken_is_refused_by_whoever_reads_it(cut: int, instead: bytes) -> None:
    """The walk raises nothing but ValueError, and hides no mistake of the outer structure."""
    data = (MODELS / "gather.onnx").read_bytes()
    broken = data[: cut % len(data)] + instead
    try:
        short = outline(memoryview(broken))
    except ValueError as error:
        with pytest.raises(ValueError, match=re.escape(str(error))):
            outline(FileBytes(BytesIO(broken)))
        return
    assert outline(FileBytes(BytesIO(broken))) == short
    try:
        whole = ModelProto.FromString(broken)
    except DecodeError:
        with pytest.raises(DecodeError):
            ModelProto.FromString(short)
    else:
        assert ModelProto.FromString(short) == whole


def test_a_nesting_without_end_is_no_model() -> None:
    data = bytes(LONG + 1)
    for _ in range(1000):
        for number in (6, 5, 1):  # a graph in an attribute, that in a node, that in a graph
            data = _field(number, data)
    with pytest.raises(ValueError, match="nested deeply"):
        outline(memoryview(_field(7, data)))


def _field(number: int, content: bytes) -> bytes:
    """Of a message; as long as its length takes three bytes."""
    length = [len(content) & 0x7F | 0x80, len(content) >> 7 & 0x7F | 0x80, len(content) >> 14]
    return bytes([number << 3 | 2, *length]) + content


@pytest.mark.parametrize("size", [0, 1, CHUNK, CHUNK + 1])
def test_a_file_is_hashed_while_it_is_read(tmp_path: Path, size: int) -> None:
    data = np.random.default_rng(size).bytes(size)
    (tmp_path / "m").write_bytes(data)
    content = Content(tmp_path / "m", hashing=True)
    with content.view() as view:
        assert view.tobytes() == data
    assert content.hashed is not None
    assert content.hashed.digest() == hashlib.sha256(data).digest()
    content.let_go()
    with pytest.raises(ValueError, match="closed"):
        content.view()


def test_without_a_cache_nothing_is_hashed(tmp_path: Path) -> None:
    path = write_matmul(tmp_path / "m.onnx", matrix())
    assert read_source(path, "key", kept=False).digest is None
    assert (
        read_source(path, None, kept=True).digest == hashlib.sha256(path.read_bytes()).hexdigest()
    )
