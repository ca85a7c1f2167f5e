"""A plan that does not agree with ONNX Runtime is not kept."""

from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

from support import doubles
from support.doubles import Installed, trt_graph
from tests.plans.support import contents, identity, matrix, write_matmul
from tests.rows.support import graph
from trtasync import BuilderConfig, BuildError, InvalidInput, Plan, build_plan
from trtasync.plans.agreement import AccuracyCheck

EXACT = trt_graph.KERNELS["onnx"]


def wrong(factor: float) -> Any:
    """The double of TensorRT computes something else."""
    return lambda *given: tuple(np.asarray(y * np.float32(factor)) for y in EXACT(*given))


@pytest.fixture
def gpu() -> Any:
    """One with TensorRT."""
    with doubles.install() as installed:
        yield installed


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """x[N, ...] times a matrix."""
    (tmp_path / "models").mkdir()
    return write_matmul(tmp_path / "models" / "m.onnx", matrix())


def build(source: Any, **options: Any) -> Plan:
    """With a check, unless the test says otherwise."""

    async def main() -> Plan:
        return await build_plan(source, **{"max_batch_size": 4, "check": 1e-2, **options})

    return anyio.run(main)


def plans(folder: Path) -> list[str]:
    """Files of plans, whole or not, and notes about them."""
    return [name for name in contents(folder) if not name.startswith("timing")]


def test_a_plan_that_agrees_is_kept(gpu: Installed, model: Path, tmp_path: Path) -> None:
    plan = build(model, cache=tmp_path / "cache", output=tmp_path / "out" / "m.plan")
    assert plan.path.is_file()
    assert len(plans(tmp_path / "cache")) == 2
    assert build(model, cache=tmp_path / "cache").cached


@pytest.mark.parametrize("cached", [True, False])
def test_a_plan_that_disagrees_is_nowhere(
    gpu: Installed, model: Path, tmp_path: Path, cached: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(trt_graph.KERNELS, "onnx", wrong(1.1))
    cache = tmp_path / "cache" if cached else False
    with pytest.raises(BuildError, match=r"'y' differs from ONNX Runtime by 0\.1, more than 0\.01"):
        build(model, cache=cache, output=tmp_path / "out" / "m.plan")
    assert plans(tmp_path / "cache") == plans(tmp_path / "out") == []
    assert build(model, cache=cache, output=tmp_path / "out" / "m.plan", check=0.2).path.is_file()


def test_an_older_plan_at_the_output_stays(
    gpu: Installed, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out" / "m.plan"
    output.parent.mkdir()
    output.write_bytes(b"older")
    monkeypatch.setitem(trt_graph.KERNELS, "onnx", wrong(1.1))
    with pytest.raises(BuildError, match="the plan is wrong and not kept"):
        build(model, cache=False, output=output)
    assert output.read_bytes() == b"older"


def test_a_plan_in_the_cache_is_checked_and_forgotten(
    gpu: Installed, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    build(model, cache=cache, check=None)
    monkeypatch.setitem(trt_graph.KERNELS, "onnx", wrong(np.nan))
    with pytest.raises(BuildError, match="differs from ONNX Runtime by inf"):
        build(model, cache=cache)
    assert plans(cache) == []
    monkeypatch.setitem(trt_graph.KERNELS, "onnx", EXACT)
    assert not build(model, cache=cache).cached


def test_a_plan_is_checked_with_lengths_that_it_takes(gpu: Installed, tmp_path: Path) -> None:
    model = tmp_path / "lines.onnx"
    model.write_bytes(graph("(float[N,L] x) => (float[N,L] y)", "{ y = Softmax(x) }"))
    plan = build(model, output=tmp_path / "m.plan", cache=False, profiles="x:1x7/4x9/4x11")
    assert plan.path.is_file()


def test_samples_decide(gpu: Installed, model: Path, tmp_path: Path) -> None:
    rows = np.ones((4, matrix().shape[0]), np.float32)
    options: dict[str, Any] = {"cache": False, "output": tmp_path / "m.plan"}
    assert build(model, samples={"x": rows}, **options).path.is_file()
    with pytest.raises(InvalidInput, match="samples are needed for"):
        build(model, samples={"z": rows}, **options)


@pytest.mark.parametrize("tolerance", [0, -1, np.nan, np.inf])
def test_a_tolerance_is_a_number_above_0(tolerance: float) -> None:
    with pytest.raises(InvalidInput, match="check must be a number above 0"):
        AccuracyCheck(tolerance)


def test_what_cannot_be_checked_is_refused(gpu: Installed, model: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="a function has none"):
        build(identity(gpu.trt, (2, 4)), output=tmp_path / "m.plan")
    with pytest.raises(InvalidInput, match="stripped of its weights"):
        build(model, builder_config=BuilderConfig(strip_plan=True))
    assert gpu.builds.started == 0
