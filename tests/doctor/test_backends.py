"""The backends, by what is installed and what CUDA answers."""

import sys

import pytest

from support import doubles
from trtasync.doctor import examine
from trtasync.doctor.backends import BackendState, backends


def states() -> dict[str, BackendState]:
    """By their names."""
    return {each.name: each for each in backends()}


def test_without_a_driver_the_cpu_is_ready_and_the_others_say_what_they_lack() -> None:
    with doubles.install(driver=0, devices=0):
        found = states()

    assert found["onnxruntime"].missing == []
    assert found["onnxruntime"].version
    for name in ("tensorrt", "tensorrt-rtx"):
        assert "found no driver" in found[name].missing[0]
        assert found[name].version == ""


def test_without_cuda_python_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)

    found = states()

    assert "pip install 'trtasync[cu13]'" in found["tensorrt"].missing[0]


def test_a_remedy_that_brings_both_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda", None)
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)

    found = states()

    for name, extra in (("tensorrt", "cu13"), ("tensorrt-rtx", "rtx")):
        (missing,) = found[name].missing
        assert "cuda-python" in missing
        assert missing.count("pip install") == 1
        assert f"pip install 'trtasync[{extra}]'" in missing


def test_without_onnx_runtime_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)

    (missing,) = states()["onnxruntime"].missing

    assert "pip install 'trtasync[cpu]'" in missing


def test_a_gpu_and_tensorrt_are_ready() -> None:
    with doubles.install(version="11.4.0.106"):
        found = states()

    assert found["tensorrt"] == BackendState("tensorrt", "11.4.0.106", [])
    assert "TensorRT for RTX is needed and not installed" in found["tensorrt-rtx"].missing[0]


def test_the_report_is_what_json_can_say() -> None:
    told = examine().as_dict()

    assert {each["name"] for each in told["backends"]} >= {"onnxruntime", "tensorrt"}
    assert told["limits"]["cores"] >= 1
