"""Which engine is meant: equal content and options are one, and nothing else is."""

from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import onnx
import pytest

from support.onnx_models import FLOAT, node, value, write_model
from trtasync import PlanError
from trtasync.shared.identity import LENGTH, LONGEST, PIECE, external_files, identity

KEY = b"\x0a\x08location\x12"
"""What stands before the name of a file in a model."""

OPTIONS: dict[str, Any] = {"max_batch_size": 8, "padding": {}}


def product(folder: Path, weight: float = 1.0, external: str | None = None) -> Path:
    """A model whose weights lie in it, or in a file beside it."""
    folder.mkdir(exist_ok=True)
    path = write_model(
        folder / "product.onnx",
        [node("MatMul", ["x", "w"], ["y"])],
        [value("x", FLOAT, ["N", 64])],
        [value("y", FLOAT, ["N", 64])],
        {"w": np.full((64, 64), weight, np.float32)},
    )
    if external is not None:
        model = onnx.load(path)
        path.unlink()
        onnx.save_model(
            model, path, save_as_external_data=True, location=external, size_threshold=0
        )
    return path


def test_the_same_content_elsewhere_or_in_memory_is_the_same(tmp_path: Path) -> None:
    one, other = product(tmp_path / "one"), product(tmp_path / "other")
    names = {identity(model, OPTIONS) for model in (one, other, one.read_bytes())}
    (name,) = names
    assert len(name) == LENGTH


def test_other_content_or_options_are_another_one(tmp_path: Path) -> None:
    model = product(tmp_path / "one")
    names = [
        identity(model, OPTIONS),
        identity(product(tmp_path / "other", weight=2.0), OPTIONS),
        identity(model, {**OPTIONS, "max_batch_size": 9}),
    ]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", ["weights.bin", "some weights of " + "x" * 200, "größe.bin"])
def test_weights_beside_a_model_belong_to_it(tmp_path: Path, name: str) -> None:
    one = product(tmp_path / "one", 1.0, name)
    other = product(tmp_path / "other", 2.0, name)
    assert external_files(one) == [tmp_path / "one" / name]
    assert one.read_bytes() == other.read_bytes()
    assert identity(one, OPTIONS) != identity(other, OPTIONS)


@pytest.mark.parametrize("behind", [0, 1, 5, 11, 12, 13, 17, 30])
def test_a_name_of_weights_is_found_wherever_it_stands(tmp_path: Path, behind: int) -> None:
    """`behind` bytes of its entry are in what is read first of the file."""
    (tmp_path / "weights.bin").touch()
    entry = b"\x0a\x08location\x12\x0bweights.bin"
    path = tmp_path / "model.onnx"
    path.write_bytes(bytes(PIECE - behind) + entry + bytes(LONGEST))
    assert external_files(path) == [tmp_path / "weights.bin"]
    path.write_bytes(bytes(PIECE - behind) + entry)
    assert external_files(path) == [tmp_path / "weights.bin"]


def test_a_large_model_does_not_hold_up_other_threads(tmp_path: Path) -> None:
    path = tmp_path / "large.onnx"
    with path.open("wb") as file:
        file.truncate(256 << 20)
    searching, turns = Thread(target=external_files, args=[path]), 0
    searching.start()
    while searching.is_alive():
        searching.join(0.001)
        turns += 1
    assert turns > 10


def test_another_gpu_is_another_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = product(tmp_path / "one")
    names = set()
    for visible in ("0", "1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        names.add(identity(model, OPTIONS))
    assert len(names) == 2


@pytest.mark.parametrize(
    "content", [b"", b"\x0a\x08location\x12", b"\x0a\x08location\x12\xff\x7fx"]
)
def test_what_only_looks_like_a_model_has_a_name_too(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.onnx"
    path.write_bytes(content)
    assert external_files(path) == []
    assert len(identity(path, OPTIONS)) == LENGTH


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="cannot be read"):
        identity(tmp_path / "nowhere.onnx", OPTIONS)
