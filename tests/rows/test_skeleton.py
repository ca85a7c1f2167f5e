"""Files are read without their weights, and say the same of everything else."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto

from support.onnx_models import FLOAT, node, value, write_model
from trtasync.rows import skeleton
from trtasync.rows.graph import read_graph
from trtasync.rows.proof import Proof
from trtasync.rows.skeleton import LARGE, read_skeleton

SIDE = 256


class Reading(BytesIO):
    """A file; `count` bytes of it were read."""

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Count them."""
        content = super().read(size)
        self.count += len(content)
        return content


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Of a large weight and a small one."""
    return write_model(
        tmp_path / "m.onnx",
        [node("MatMul", ["x", "w"], ["h"]), node("Add", ["h", "b"], ["y"])],
        [value("x", FLOAT, ["N", SIDE])],
        [value("y", FLOAT, ["N", SIDE])],
        {"w": np.ones((SIDE, SIDE), np.float32), "b": np.ones(SIDE, np.float32)},
    )


def test_only_large_tensors_lose_their_data(model: Path) -> None:
    file = Reading(model.read_bytes())
    found = onnx.load_model_from_string(read_skeleton(file))
    w, b = found.graph.initializer
    assert SIDE * SIDE * 4 > LARGE
    assert (w.name, list(w.dims), w.data_location) == ("w", [SIDE, SIDE], TensorProto.EXTERNAL)
    assert not w.raw_data
    assert (b.data_location, len(b.raw_data)) == (TensorProto.DEFAULT, 4 * SIDE)
    assert file.count < LARGE
    assert bare(found) == bare(onnx.load(model))


def test_a_proof_needs_no_weights(model: Path) -> None:
    for given_ in (model, model.read_bytes()):
        graph = read_graph(given_)
        assert graph is not None
        assert graph.proofs({"x": 0}) == {"y": Proof(0)}


def test_elements_of_their_own_are_data_too() -> None:
    tensor = onnx.helper.make_tensor("w", FLOAT, [LARGE], [1.0] * LARGE)
    assert len(tensor.float_data) == LARGE
    whole = ModelProto(graph=onnx.GraphProto(initializer=[tensor]))
    (found,) = onnx.load_model_from_string(
        read_skeleton(BytesIO(whole.SerializeToString()))
    ).graph.initializer
    assert (len(found.float_data), found.data_location) == (0, TensorProto.EXTERNAL)


def bare(model: Any) -> Any:
    """All that it says, apart from the data of its tensors."""
    for tensor in model.graph.initializer:
        for name in ("float", "int32", "string", "int64", "raw", "double", "uint64"):
            tensor.ClearField(f"{name}_data")
        tensor.ClearField("data_location")
    model.DiscardUnknownFields()
    return model


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nearly every tensor is a large one."""
    monkeypatch.setattr(skeleton, "LARGE", 16)


@pytest.mark.usefixtures("small")
def test_whatever_protobuf_reads_says_the_same(model: Path) -> None:
    whole = ModelProto()
    whole.ParseFromString(model.read_bytes())
    for tensor in whole.graph.initializer:
        tensor.dims[:] = [4]
        tensor.raw_data = bytes(range(16))
    content = whole.SerializeToString()

    @settings(max_examples=400, deadline=None)
    @given(
        st.lists(st.tuples(st.integers(0, len(content)), st.binary(max_size=3)), max_size=3),
        st.integers(0, len(content)),
        st.booleans(),
    )
    def same(changes: list[tuple[int, bytes]], end: int, is_cut: bool) -> None:
        changed = content
        for at, piece in changes:
            changed = changed[:at] + piece + changed[at + len(piece) :]
        changed = changed[:end] if is_cut else changed
        try:
            before = onnx.load_model_from_string(changed)
        except DecodeError:
            read_skeleton(BytesIO(changed))
            return
        after = onnx.load_model_from_string(read_skeleton(BytesIO(changed)))
        assert bare(after) == bare(before)

    same()


@pytest.mark.usefixtures("small")
def test_an_unusual_file_is_read_as_a_whole(monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    content = model.read_bytes()
    assert len(read_skeleton(BytesIO(content))) < len(content)
    monkeypatch.setattr(skeleton, "MOST_FIELDS", 2)
    assert read_skeleton(BytesIO(content)) == content
    assert read_skeleton(BytesIO(b"\xff\xff no onnx")) == b"\xff\xff no onnx"
