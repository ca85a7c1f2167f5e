"""Weights beside a model: what is read of them is there, and lies where the runtime reads too."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

from tests.plans.support import matrix, on_cpu, words, write_matmul
from trtasync import BuildError
from trtasync.inspection import inspect_onnx
from trtasync.plans.onnx_files import read_onnx

SIZE = matrix().nbytes
NAME = "m.weights"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model with all its weights in one file, in a folder of its own."""
    (tmp_path / "model").mkdir()
    return write_matmul(tmp_path / "model" / "m.onnx", matrix(), external=NAME)


def say(model: Path, **entries: str | None) -> None:
    """Change what a model says of where its weights lie."""
    proto = ModelProto.FromString(model.read_bytes())
    (tensor,) = proto.graph.initializer
    known = {entry.key: entry.value for entry in tensor.external_data} | entries
    del tensor.external_data[:]
    for key, value in known.items():
        if value is not None:
            tensor.external_data.add(key=key, value=value)
    model.write_bytes(proto.SerializeToString())


NO_NUMBERS = ["", "-1", "+1", "1e3", "x", "nan", "9" * 400, "\x1b[2J", "٣"]


@pytest.mark.parametrize("key", ["offset", "length"])
@pytest.mark.parametrize("value", NO_NUMBERS)
def test_what_is_no_number_of_bytes_is_refused(model: Path, key: str, value: str) -> None:
    say(model, **{key: value})
    with pytest.raises(BuildError) as caught:
        inspect_onnx(model)
    words(str(caught.value), "m.onnx keeps weights in m.weights from byte", "save the model again")
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "entries",
    [
        {"offset": "1"},
        {"length": f"{SIZE + 1}"},
        {"offset": "999999999999999999", "length": "999999999999999999"},
        {"offset": "4", "length": None},
        {"offset": f"{SIZE + 1}", "length": "0"},
    ],
)
def test_bytes_that_the_file_has_not_are_refused(
    model: Path, entries: dict[str, str | None]
) -> None:
    say(model, **entries)
    with pytest.raises(BuildError) as caught:
        read_onnx(model)
    words(str(caught.value), f"up to byte {_end(entries)}", f"has {SIZE} bytes", "Copy it again")


def _end(entries: dict[str, str | None]) -> int:
    length = entries.get("length", f"{SIZE}")
    return int(entries.get("offset") or 0) + int(length or SIZE)


def test_the_whole_file_may_be_said_or_left_unsaid(model: Path) -> None:
    for entries in ({}, {"offset": "0", "length": f"{SIZE}"}, {"offset": None, "length": None}):
        say(model, **entries)
        assert inspect_onnx(model).external == {NAME: SIZE}


@pytest.mark.parametrize("name", ["a\0b", "n" * 5000, "loop"])
def test_a_name_that_no_file_has_is_refused(model: Path, name: str) -> None:
    (model.parent / "loop").symlink_to("loop")
    say(model, location=name)
    with pytest.raises(BuildError, match=r"which is not a valid file name|which is missing from"):
        read_onnx(model)


# -- links ----------------------------------------------------------------------------------------

Layout = Callable[[Path], Path]


def _moved(file: Path, to: Path) -> None:
    """A file, put elsewhere and linked to from where it was."""
    to.parent.mkdir(exist_ok=True)
    file.rename(to)
    file.symlink_to(to)


def _within(model: Path) -> Path:
    _moved(model.with_name(NAME), model.parent / "blobs" / "1")
    return model


def _like_a_download_cache(model: Path) -> Path:
    """Model and weights are links to files of one folder, which is another one."""
    blobs = model.parents[1] / "blobs"
    _moved(model.with_name(NAME), blobs / "2")
    _moved(model, blobs / "1")
    return model


def _through_a_linked_folder(model: Path) -> Path:
    link = model.parents[1] / "link"
    link.symlink_to(model.parent)
    return link / model.name


def _out(model: Path) -> Path:
    _moved(model.with_name(NAME), model.parents[1] / "secret")
    return model


def _out_by_a_folder(model: Path) -> Path:
    (model.parents[1] / "secrets").mkdir()
    model.with_name(NAME).rename(model.parents[1] / "secrets" / NAME)
    (model.parent / "sub").symlink_to(model.parents[1] / "secrets")
    say(model, location=f"sub/{NAME}")
    return model


@pytest.mark.parametrize("lay", [_within, _like_a_download_cache, _through_a_linked_folder])
def test_links_to_where_the_runtime_reads_too_are_followed(model: Path, lay: Layout) -> None:
    path = lay(model)
    assert inspect_onnx(path).external == {NAME: SIZE}
    rows = np.ones((1, 4), np.float32)
    assert np.array_equal(on_cpu(path, x=rows)[0], rows @ matrix())


@pytest.mark.parametrize("lay", [_out, _out_by_a_folder])
def test_links_that_leave_the_models_folder_are_not_followed(model: Path, lay: Layout) -> None:
    path = lay(model)
    with pytest.raises(BuildError) as caught:
        inspect_onnx(path)
    words(str(caught.value), "not beside it", "model's own folder", "through links too")
