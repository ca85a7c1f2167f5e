"""Who insists on which TensorRT, in which order; and what is said where that is not to be had."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import doubles
from tests.cli.support import refused, run, told
from tests.plans.support import GATHER, words
from trtasync import (
    BackendUnavailable,
    BuilderConfig,
    InvalidInput,
    PlanError,
    build_plan,
    open_engine,
)
from trtasync.plans import Phases
from trtasync.runtimes.flavours import RTX, TENSORRT, VARIABLE
from trtasync.runtimes.tensorrt.library import Library

pytestmark = pytest.mark.anyio

ADA = BuilderConfig(compute_capabilities=["8.9"])

UNKNOWN = "TRTASYNC_TENSORRT must be 'tensorrt' or 'rtx', not 'foo'"


CONTRADICTED = [f"{VARIABLE}=tensorrt", "compute_capabilities", "backend='tensorrt-rtx'", "unset"]

BUILD = ("build", GATHER, "--compute-capability", "8.9")


# -- the environment ------------------------------------------------------------------------------


@pytest.fixture
def unknown(rtx: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment insists on what there is not."""
    monkeypatch.setenv(VARIABLE, "foo")


@pytest.fixture
def insists_on_tensorrt(rtx: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment insists on TensorRT."""
    monkeypatch.setenv(VARIABLE, "tensorrt")


@pytest.fixture(params=[0, 1], ids=["no GPU", "a GPU"])
def gpus(request: pytest.FixtureRequest) -> Iterator[None]:
    """Machines with TensorRT."""
    with doubles.install(devices=request.param):
        yield


@pytest.mark.usefixtures("unknown", "gpus")
@pytest.mark.parametrize("backend", ["auto", "tensorrt", "tensorrt-rtx"])
async def test_a_name_that_nobody_knows_is_refused_by_whatever_looks_at_it(
    rtx: Library, tmp_path: Path, backend: Any
) -> None:
    """However else the flavour is settled."""
    plans = []
    for flavour in (RTX, TENSORRT):
        plans.append(tmp_path / f"{flavour.name}.plan")
        plans[-1].write_bytes(flavour.magic + bytes(100))
    for model in (GATHER, *plans):
        with pytest.raises(InvalidInput, match=UNKNOWN):
            await open_engine(model, backend=backend)
    if backend != "auto":
        for config in (ADA, None):
            with pytest.raises(InvalidInput, match=UNKNOWN):
                await build_plan(GATHER, builder_config=config, backend=backend)


@pytest.mark.usefixtures("unknown", "gpus")
def test_so_it_is_by_the_commands(rtx: Library, tmp_path: Path) -> None:
    plan = tmp_path / "m.plan"
    plan.write_bytes(RTX.magic + bytes(100))
    words(refused(2, "inspect", plan), UNKNOWN)
    words(refused(2, *BUILD), UNKNOWN)
    words(refused(2, *BUILD, "--backend", "tensorrt-rtx"), UNKNOWN)


@pytest.mark.usefixtures("unknown")
async def test_the_cpu_does_not_care() -> None:
    async with open_engine(GATHER, backend="onnxruntime"):
        pass


@pytest.mark.usefixtures("insists_on_tensorrt")
async def test_compute_capabilities_contradict_who_insists_on_tensorrt(
    rtx: Library, tmp_path: Path
) -> None:
    output = tmp_path / "m.plan"
    with pytest.raises(InvalidInput) as caught:
        await build_plan(GATHER, builder_config=ADA, output=output)
    words(str(caught.value), *CONTRADICTED)
    with pytest.raises(InvalidInput, match="builds without a GPU"):
        Phases(None, TENSORRT)
    assert not output.exists()


@pytest.mark.usefixtures("insists_on_tensorrt")
async def test_what_the_code_says_beats_the_environment(rtx: Library) -> None:
    plan = await build_plan(GATHER, builder_config=ADA, backend="tensorrt-rtx")
    assert plan.flavour == RTX.name


@pytest.mark.usefixtures("insists_on_tensorrt")
def test_so_it_does_on_the_command_line(rtx: Library, tmp_path: Path) -> None:
    output = tmp_path / "m.plan"
    words(refused(2, *BUILD, "-o", output), *CONTRADICTED)
    assert not output.exists()
    assert told(*BUILD, "-o", output, "--backend", "tensorrt-rtx")["flavour"] == RTX.name


# -- on a machine without a GPU -------------------------------------------------------------------


async def test_a_plan_of_the_other_flavour_is_told_without_a_gpu(
    rtx: Library, tmp_path: Path
) -> None:
    plan = tmp_path / "m.plan"
    plan.write_bytes(TENSORRT.magic + bytes(100))
    with doubles.install(devices=0), pytest.raises(PlanError, match="plan of TensorRT, which"):
        await open_engine(plan, backend="tensorrt-rtx")


async def test_the_way_to_the_cpu_is_one_that_leads_there(rtx: Library) -> None:
    with doubles.install(devices=0):
        with pytest.raises(BackendUnavailable) as caught:
            await open_engine(GATHER, backend="tensorrt-rtx")
        words(str(caught.value), "an .onnx file runs on the CPU", "backend='auto'")
        async with open_engine(GATHER, backend="auto"):
            pass


async def test_what_is_installed_is_not_recommended(
    rtx: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    with doubles.install(devices=0):
        with pytest.raises(BackendUnavailable) as caught:
            await build_plan(GATHER, backend="tensorrt-rtx")
        words(str(caught.value), "name the GPUs that the plan is for (compute_capabilities)")
        assert "pip install" not in str(caught.value)
        for name in RTX.modules:
            monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(BackendUnavailable, match=r"compute_capabilities, .*trtasync\[rtx\]"):
            await build_plan(GATHER)


async def test_a_build_of_seconds_is_not_said_to_take_minutes(
    rtx: Library, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "trtasync")
    await build_plan(GATHER, builder_config=ADA)
    (line,) = [each for each in caplog.records if "building a plan" in each.getMessage()]
    assert line.levelno == logging.INFO
    assert "minutes" not in line.getMessage()
    with doubles.install():
        await build_plan(GATHER)
    *_, line = [each for each in caplog.records if "building a plan" in each.getMessage()]
    assert line.levelno == logging.WARNING
    assert "this can take minutes" in line.getMessage()


def test_build_offers_the_backends_that_it_takes(rtx: Library) -> None:
    words(run("build", "--help").stdout, "tensorrt or tensorrt-rtx.")
    error = run(*BUILD, "--backend", "onnxruntime", code=2).stderr
    words(error, "'onnxruntime' is not one of", "'tensorrt-rtx'")
    words(run("bench", "--help").stdout, "onnxruntime")
