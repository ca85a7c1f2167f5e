"""`trtasync check`."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support import doubles
from support.doubles import models
from tests.cli.support import refused, run
from tests.rows.support import graph
from tests.tensorrt.support import double, write
from trtasync.inspection import check_model

QUICK = ("--seconds", "20", "--backend", "onnxruntime")
"""Long enough on a busy machine: the models are tiny, and the schedule ends by itself."""

PLAIN = "(float[N,4] x) => (float[N,4] y)"
MODELS = {
    "double": (PLAIN, "<float one = {1}, float two = {2}> { t = Mul(x, two)  y = Add(t, one) }"),
    "cumsum": (PLAIN, "<int64 axis = {0}> { y = CumSum(x, axis) }"),
    "dropout": (
        PLAIN,
        "<float ratio = {0.5}, bool training = {1}> { y = Dropout(x, ratio, training) }",
    ),
    "nan": (PLAIN, "<float zero = {0}> { t = Mul(x, zero)  y = Div(t, t) }"),
    "state": (
        "(float[N,4] x, float[2,N,4] state, float rate) => (float[N,4] y, float[2,N,4] next)",
        "{ y = Mul(x, rate)  next = Add(state, x) }",
    ),
    "two": (
        "(float[N,4] x) => (float[N,4] good, float[N,4] bad)",
        "<int64 axis = {0}> { good = Relu(x)  bad = CumSum(x, axis) }",
    ),
}


@pytest.fixture
def model(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The one named by the test's parameter."""
    return onnx_file(tmp_path, request.param)


def onnx_file(folder: Path, name: str) -> Path:
    """One of `MODELS`."""
    path = folder / f"{name}.onnx"
    path.write_bytes(graph(*MODELS[name]))
    return path


def archive(path: Path, arrays: Mapping[str, Any]) -> Path:
    """Samples in a file."""
    np.savez(path, **arrays)
    return path


def told(path: Path, *options: object, code: int = 0) -> Any:
    """What `--json -` prints."""
    return json.loads(run("check", path, *options, "--json", "-", code=code).stdout)


@pytest.mark.parametrize(
    ("model", "verdict", "code"),
    [("double", "proved", 0), ("cumsum", "coupled", 6), ("dropout", "random", 6)],
    indirect=["model"],
)
def test_verdicts_and_exit_codes(model: Path, verdict: str, code: int) -> None:
    result = run("check", model, *QUICK, code=code)
    assert verdict in result.stdout
    assert ("All is well." in result.stdout) == (code == 0)
    assert result.stderr.startswith(f"trtasync: 1 problem; output 'y' is {verdict}: ") == (
        code != 0
    )
    assert result.stderr.count("\n") == (code != 0)


@pytest.mark.parametrize("model", ["two"], indirect=True)
def test_each_output_has_its_own_verdict(model: Path) -> None:
    found = told(model, *QUICK, code=6)
    good, bad = found["outputs"]
    assert (good["finding"]["verdict"], bad["finding"]["verdict"]) == ("proved", "coupled")
    assert bad["finding"]["difference"] > 0
    assert bad["finding"]["beside"]
    assert not found["well"]
    assert len(found["problems"]) == 1


@pytest.mark.parametrize(("batching", "code"), [("auto", 6), ("on", 0), ("off", 0), ("proved", 6)])
@pytest.mark.parametrize("model", ["cumsum"], indirect=True)
def test_batching_says_what_is_well(model: Path, batching: str, code: int) -> None:
    found = told(model, *QUICK, "--batching", batching, code=code)
    (output,) = found["outputs"]
    assert (output["finding"] is None) == (batching == "off")


@pytest.mark.parametrize("model", ["nan"], indirect=True)
def test_what_is_no_number_is_found(model: Path) -> None:
    found = told(model, *QUICK, "--batching", "off", code=6)
    (output,) = found["outputs"]
    assert output["health"]["nan"] == output["health"]["elements"] == 16  # 1 + 3 rows of 4
    assert found["problems"] == ["output 'y' has 16 NaN and 0 inf among 16 numbers"]


@pytest.mark.parametrize("model", ["state"], indirect=True)
def test_axes_are_found_or_said(model: Path) -> None:
    found = told(model, *QUICK)
    assert found["axes"] == {"x": 0, "state": 1, "rate": None}
    assert [each["finding"]["axis"] for each in found["outputs"]] == [0, 1]
    assert told(model, *QUICK, "--batch-axis", "x=0")["axes"] == found["axes"]
    wrong = refused(5, "check", model, *QUICK, "--batch-axis", "x=1", "--batch-axis", "state=2")
    assert "accepted none of the drawn inputs" in wrong
    assert "batch_axes names" in refused(2, "check", model, "--batch-axis", "z=0")


@pytest.mark.parametrize("model", ["state"], indirect=True)
def test_samples_are_what_the_model_is_run_with(model: Path, tmp_path: Path) -> None:
    given = {
        "x": np.ones((4, 4), np.float32),
        "state": np.ones((2, 4, 4), np.float32),
        "rate": np.float32(np.inf),
    }
    samples = archive(tmp_path / "all.npz", given)
    found = told(model, *QUICK, "--samples", samples, code=6)
    assert found["outputs"][0]["health"]["infinite"] == 16
    del given["rate"]
    samples = archive(tmp_path / "some.npz", given)
    line = refused(2, "check", model, *QUICK, "--samples", samples)
    assert "samples are needed for ['rate', 'state', 'x']" in line


# -- plans ----------------------------------------------------------------------------------------


def other(x: Any) -> Any:
    """`double`, a little wrong where it is large."""
    return np.where(x > 0.5, double(x) * np.float32(1.1), double(x))


def test_a_plan_that_agrees(tmp_path: Path) -> None:
    model = onnx_file(tmp_path, "double")
    plan = write(tmp_path, models.elementwise(double, most=8))
    with doubles.install():
        found = told(model, "--plan", plan, "--seconds", 20)
    (output,) = found["outputs"]
    assert output["agreement"]["relative"] < 1e-6
    assert (found["backend"], found["plan"]) == ("tensorrt", str(plan))
    assert output["finding"]["verdict"] == "proved"


def test_a_plan_that_disagrees(tmp_path: Path) -> None:
    model = onnx_file(tmp_path, "double")
    plan = write(tmp_path, models.elementwise(other, most=8))
    with doubles.install():
        result = run("check", model, "--plan", plan, "--batching", "off", code=6)
        run("check", model, "--plan", plan, "--batching", "off", "--tolerance", 0.2)
    assert "output 'y' differs from ONNX Runtime by 0.1, more than 0.01 (" in result.stderr


def test_a_plan_whose_rows_are_coupled_although_those_of_the_model_are_not(tmp_path: Path) -> None:
    model = onnx_file(tmp_path, "double")

    def coupled(x: Any) -> Any:
        return double(x) + np.float32(1e-6) * np.abs(x).max()

    plan = write(tmp_path, models.elementwise(coupled, most=8))
    with doubles.install():
        found = told(model, "--plan", plan, "--seconds", 20, code=6)
    assert found["outputs"][0]["finding"]["verdict"] == "coupled"


def test_a_plan_alone_is_checked_as_far_as_it_goes(tmp_path: Path) -> None:
    plan = write(tmp_path, models.elementwise(double, most=8))
    with doubles.install():
        found = told(plan, "--seconds", 20)
    (output,) = found["outputs"]
    assert (output["finding"]["verdict"], output["agreement"]) == ("tested", None)
    assert "a plan has no graph" in found["proof"]


def test_a_plan_of_another_model_is_refused(tmp_path: Path) -> None:
    plan = write(tmp_path, models.elementwise(double, most=8))
    with doubles.install():
        line = refused(2, "check", onnx_file(tmp_path, "two"), "--plan", plan)
        assert "give the model that the plan was built from" in line
        assert "was built from" in refused(2, "check", plan, "--plan", plan)


def test_a_model_is_built_where_that_can_be(tmp_path: Path) -> None:
    model = onnx_file(tmp_path, "double")
    with doubles.install() as gpu:
        found = told(model, "--seconds", 20, "--max-batch-size", 4)
        assert gpu.builds.started == 1
    assert Path(found["plan"]).suffix == ".plan"
    assert found["outputs"][0]["agreement"]["relative"] < 1e-6


def test_plans_are_kept_where_it_is_said_and_taken_of_whom_it_is_said(tmp_path: Path) -> None:
    """Of a user who has built none there is none to take."""
    model, folder = onnx_file(tmp_path, "double"), tmp_path / "shared"
    here = ("--seconds", 20, "--max-batch-size", 4, "--cache-dir", folder)
    with doubles.install() as gpu:
        found = told(model, *here, "--cache-owner", os.geteuid())
        assert Path(found["plan"]).is_relative_to(folder)
        told(model, *here, "--cache-owner", os.geteuid())
        other = ("--max-batch-size", 8, "--cache-owner", os.geteuid() + 1)
        refused(4, "check", model, *here, *other)
        assert gpu.builds.started == 1
        assert "give both" in refused(2, "check", model, "--cache-owner", "builder")


# -- what goes wrong ------------------------------------------------------------------------------


def test_bad_arguments_and_files(tmp_path: Path) -> None:
    model = onnx_file(tmp_path, "double")
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    assert "seconds must be" in refused(2, "check", model, "--seconds", 0)
    assert "tolerance must be" in refused(2, "check", model, "--tolerance", "nan")
    assert "is not a file" in refused(4, "check", tmp_path / "none.onnx")
    assert "not an ONNX model but text" in refused(4, "check", tmp_path / "bad.onnx", *QUICK)
    assert refused(3, "check", model, "--backend", "tensorrt")


def test_the_library_s_own_call(tmp_path: Path) -> None:
    report = check_model(onnx_file(tmp_path, "double"), backend="onnxruntime", seconds=20)
    assert report.well
    assert report.axes == {"x": 0}
