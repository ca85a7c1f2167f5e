"""Files that are no models, and options that make no sense, are refused with a reason."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from support.helpers import MODELS
from support.onnx_models import FLOAT, Make, node, value
from trtasync import BackendUnavailable, InvalidInput, Pad, PlanError, open_engine
from trtasync.runtimes.onnxruntime import load
from trtasync.runtimes.onnxruntime.specs import tensor_spec


def _truncated(path: Path) -> None:
    path.write_bytes((MODELS / "digits_pair.onnx").read_bytes()[:1000])


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda path: None, "not a file"),
        (lambda path: path.mkdir(), "not a file"),
        (lambda path: path.write_bytes(b""), "not an ONNX model but empty"),
        (
            lambda path: path.write_bytes(b"\x00garbage" * 100),
            "not an ONNX model, or it is truncated",
        ),
        (_truncated, "not an ONNX model, or it is truncated"),
    ],
    ids=["missing", "directory", "empty", "garbage", "truncated"],
)
async def test_what_is_no_model_is_refused(
    tmp_path: Path, damage: Callable[[Path], None], says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "broken.onnx"
    damage(path)
    with pytest.raises(PlanError, match=says) as caught:
        async with open_engine(path):
            pass
    assert "broken.onnx" in str(caught.value)
    assert capfd.readouterr().err == ""  # one report is enough


FOREIGN: dict[str, tuple[bytes, str]] = {
    "app.py": ("# umlaute: äöü\n".encode() * 50, "but text;"),
    "page.onnx": (b"<!DOCTYPE html><html><body>404</body></html>", "but text;"),
    "picture.png": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "but a PNG image;"),
    "model.pt": (b"PK\x03\x04\x14\0\0\0\x08\0", "but a zip archive, as PyTorch"),
    "weights.onnx": (b"version https://git-lfs.github.com/spec/v1\n", "`git lfs pull`"),
    "opset.onnx": (b"\x08\x07", "it holds no graph"),
    "letter.plan": (b"Dear Sir or Madam\n", "is not a TensorRT plan but text;"),
    "empty.engine": (b"", "is not a TensorRT plan but empty;"),
}


@pytest.mark.anyio
@pytest.mark.parametrize("name", FOREIGN)
async def test_what_a_file_is_instead_of_a_model_is_told(tmp_path: Path, name: str) -> None:
    """In our words: those of a parser help nobody who named the wrong file."""
    content, says = FOREIGN[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PlanError) as caught:
        await open_engine(tmp_path / name)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / name} is not a")
    assert says in message
    assert "ONNXRuntime" not in message
    assert "\n" not in message


@pytest.mark.anyio
async def test_plans_and_devices_are_refused_with_a_reason(tmp_path: Path) -> None:
    plan = tmp_path / "model.plan"
    with pytest.raises(BackendUnavailable, match="TensorRT"):
        async with open_engine(plan):
            pass
    with pytest.raises(PlanError, match="TensorRT plan"):
        async with open_engine(plan, backend="onnxruntime"):
            pass
    with pytest.raises(InvalidInput, match="no devices"):
        async with open_engine(MODELS / "gather.onnx", devices=[0]):
            pass


@pytest.mark.anyio
@pytest.mark.parametrize(
    "options",
    [
        {"streams": 0},
        {"streams": True},
        {"threads": -1},
        {"max_batch_size": 0},
        {"max_batch_size": 2.0},
        {"batch_sizes": [0, 4]},
        {"batch_sizes": [1, 4], "max_batch_size": 8},
        {"max_queue_size": 0},
        {"max_queue_delay": -1},
        {"max_queue_delay": float("nan")},
        {"loop_budget": "1"},
        {"preferred_batch_size": [4]},
        {"preferred_batch_size": [0], "max_queue_delay": 1},
        {"padding": {"index": 8}},
        {"padding": {"index": Pad(axis=1, multiple_of=2)}},
        {"padding": {"nobody": Pad(axis=1, multiple_of=2)}},
        {"backend": "cpu"},
    ],
)
async def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        async with open_engine(MODELS / "gather.onnx", **options):
            pass


def test_a_name_that_is_no_utf_8_is_refused(tmp_path: Path) -> None:
    """ONNX Runtime loads such a model, and fails when it is asked for its inputs."""
    data = (MODELS / "gather.onnx").read_bytes()
    path = tmp_path / "m.onnx"
    path.write_bytes(data.replace(b"index", b"inde\xff"))
    with pytest.raises(PlanError, match=r"ONNX Runtime cannot read .*m\.onnx: 'utf-8'"):
        load(path, 1)


def test_more_threads_than_any_machine_has_are_refused() -> None:
    with pytest.raises(InvalidInput, match="threads must be at most 4096") as caught:
        load(MODELS / "gather.onnx", 2**40)
    assert (caught.value.name, caught.value.got) == ("threads", 2**40)


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["n" * 5000, "a\0b", "m.onnx/m.onnx"])
async def test_a_path_that_no_file_can_have_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "m.onnx").write_bytes(b"")
    with pytest.raises(PlanError, match="is not a file"):
        async with open_engine(str(tmp_path / name), backend="onnxruntime"):
            pass


@pytest.mark.anyio
async def test_slots_for_which_there_is_no_memory_are_refused(make: Make) -> None:
    x, y = (value(name, FLOAT, ["N", 2**40]) for name in ("x", "y"))
    path = make([node("Relu", ["x"], ["y"])], [x], [y])
    with pytest.raises(PlanError, match="no memory for batches of 64 rows"):
        async with open_engine(path, backend="onnxruntime", max_batch_size=64, batching=True):
            pass


def test_a_length_that_is_inferred_as_negative_is_not_known() -> None:
    output = SimpleNamespace(name="y", type="tensor(float)", shape=["N", -65531, 0, 4, "", None])
    assert tensor_spec(output, "output").shape == ("N", None, None, 4, None, None)
