"""Whole runs on the embedded default, on fakes and on the doubles of TensorRT."""

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

from support import doubles
from support.doubles import models
from support.helpers import MODELS
from tests.tensorrt.support import double, lines, tensor, write
from trtasync import InvalidInput, PlanError, TensorSpec
from trtasync.measure import Closed, Inputs, Open, Progress, Recorder, Report, Settings, plot, run
from trtasync.measure.loads import Load
from trtasync.measure.runs import on_loop
from trtasync.measure.statistics import spread
from trtasync.testing import FunctionBackend, ScriptedBackend

PAIR = MODELS / "digits_pair.onnx"
QUICK: dict[str, Any] = {"seconds": 0.1, "warm_up": 0.0, "rounds": 2}
"""Without a warm-up, which an open load might not outlast where the loop is held up meanwhile."""


def quick(*loads: Load, **more: Any) -> Settings:
    """Settings that take a tenth of a second a sample."""
    return Settings(**{"loads": loads or (Closed(4),), **QUICK, **more})


@pytest.fixture(scope="module")
def report() -> Report:
    """One of all kinds of loads, with the ceiling, on the CPU backend."""
    loads = (Open(0.3, relative=True), Closed(1), Closed(8), Open(200.0, "constant"))
    news: list[Progress] = []
    found = run(PAIR, quick(*loads, compare=True), progress=news.append, threads=1)
    assert [each.step for each in news] == list(range(10))
    assert {each.steps for each in news} == {10}
    return found


def test_every_load_is_a_point_closed_ones_first(report: Report) -> None:
    names = [point.load.name for point in report.points]
    assert names == ["1 caller", "8 callers", "30% of capacity", "200/s"]
    assert len(report.samples) == 8


def test_figures_are_those_of_the_latencies(report: Report) -> None:
    for sample in report.samples:
        for percent in (50, 90, 95, 99):
            expected = np.percentile(sample.latencies, percent) * 1e6
            assert sample.figures[f"latency_p{percent}_us"] == pytest.approx(expected)
        assert sample.figures["latency_max_us"] == pytest.approx(sample.latencies[-1] * 1e6)
        if isinstance(sample.load, Closed):
            assert len(sample.latencies) == sample.figures["requests"]
        rate = sample.figures["requests"] / sample.figures["seconds"]
        assert sample.figures["requests_per_second"] == pytest.approx(rate)


def test_the_histogram_adds_up(report: Report) -> None:
    for sample in report.samples:
        rows = sum(size * count for size, count in sample.batch_sizes.items())
        batches = sum(sample.batch_sizes.values())
        assert sample.figures["batch_mean"] == pytest.approx(rows / batches)
        if isinstance(sample.load, Closed):  # so few are in flight at the window's edges
            assert abs(rows - sample.figures["requests"]) <= 2 * sample.load.concurrency


def test_a_relative_rate_is_that_share_of_the_first_round_s_best(report: Report) -> None:
    first = [s for s in report.samples if s.round == 1 and isinstance(s.load, Closed)]
    best = max(sample.figures["requests_per_second"] for sample in first)
    offered = [s.figures["offered_per_second"] for s in report.samples if s.load.name[0] == "3"]
    assert offered == [pytest.approx(0.3 * best)] * 2


def test_ratios_are_formed_within_a_round(report: Report) -> None:
    ceilings = report.yardsticks["ceiling"]
    assert len(ceilings) == 2
    rates = [s.figures["rows_per_second"] for s in report.samples if s.load == Closed(8)]
    expected = spread(a / b["rows_per_second"] for a, b in zip(rates, ceilings, strict=True))
    assert report.ratios["ceiling"]["8 callers"] == expected
    assert "trtexec" not in report.ratios  # no GPU


def test_the_json_has_all_of_it(report: Report) -> None:
    found = json.loads(report.dumps())
    assert (found["name"], found["schema"], found["backend"]) == (
        "trtasync bench",
        1,
        "onnxruntime",
    )
    assert {"date", "commit", "dirty", "hardware", "versions", "parameters"} <= set(found)
    assert found["versions"]["numpy"] == np.__version__
    assert found["parameters"]["options"] == {"threads": 1}
    for point in found["points"]:
        assert set(point) == {"name", "load", "figures", "batch_sizes", "latency_curve_us"}
        for figure in point["figures"].values():
            assert figure["min"] <= figure["median"] <= figure["max"]
        quantiles, values = zip(*point["latency_curve_us"], strict=True)
        assert list(quantiles) == sorted(quantiles)
        assert list(values) == sorted(values)
    stages = {"queue_us", "compute_us", "deliver_us"}
    assert stages <= set(found["points"][0]["figures"])


@pytest.mark.parametrize("times", [1.0, 100.0])
def test_a_yardstick_that_is_far_to_the_right_is_named_and_not_drawn(
    report: Report, tmp_path: Path, times: float
) -> None:
    most = max(point.figures["requests_per_second"]["median"] for point in report.points)
    bar = {"rows_per_second": times * most * report.parameters["rows"]}
    far = dataclasses.replace(report, yardsticks={"ceiling": [bar]})
    without = dataclasses.replace(report, yardsticks={})

    def dashes(drawn: Report) -> int:
        plot(drawn, tmp_path / "out.svg")
        return (tmp_path / "out.svg").read_text().count("stroke-dasharray")

    assert (dashes(far) > dashes(without)) == (times == 1.0)


def test_the_plot_is_a_picture(report: Report, tmp_path: Path) -> None:
    plot(report, tmp_path / "out.png")
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(InvalidInput, match=r"\.png"):
        plot(report, tmp_path / "out.txt")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop", "trio"])
def test_every_loop_and_a_backend_of_one_s_own(loop: Any) -> None:
    backend = ScriptedBackend()
    loads = (Closed(2), Open(300.0))
    found = run(backend, quick(*loads, loop=loop, compare=True, inputs=Inputs(2)), streams=2)
    assert backend.closed == 1
    assert found.parameters["streams"] == 2
    for sample in found.samples:
        figures = sample.figures
        assert figures["rows_per_second"] == pytest.approx(2 * figures["requests_per_second"])
    assert found.ratios["ceiling"]["2 callers"]["median"] > 0


def test_lanes_that_work_by_themselves_have_a_ceiling_too() -> None:
    backend = ScriptedBackend(asynchronous=True, depth=2, owned_slots=True, slots_per_lane=4)
    found = run(backend, quick(rounds=1, compare=True), streams=2, max_batch_size=4)
    assert found.yardsticks["ceiling"][0]["rows"] % 4 == 0
    assert found.ratios["ceiling"]["4 callers"]["median"] > 0


@pytest.mark.parametrize("graphs", [True, False])
@pytest.mark.parametrize("gpus", [1, 2])
def test_tensorrt_has_a_ceiling_and_trtexec_s_algorithm(
    tmp_path: Path, graphs: bool, gpus: int
) -> None:
    path = write(tmp_path, models.elementwise(double))
    with doubles.install(devices=gpus):
        found = run(
            path,
            quick(rounds=1, compare=True, trace=Recorder()),
            devices=list(range(gpus)),
            graphs=graphs,
            streams=2,
        )
    assert set(found.ratios) == {"ceiling", "trtexec"}
    assert all(ratio["median"] > 0 for each in found.ratios.values() for ratio in each.values())
    assert found.yardsticks["trtexec"][0]["latency_p50_us"] > 0
    assert found.about["hardware"]["gpus"] == ["Double GPU"] * gpus
    assert {"copy_in_us", "copy_out_us"} <= set(found.samples[0].figures) or graphs


def test_tensorrt_with_two_inputs_and_dynamic_axes(tmp_path: Path) -> None:
    ranges = ((1, 3), (4, 3), (8, 3))
    inputs = [tensor("a", (-1, 3), ranges), tensor("b", (-1, 3), ranges)]
    pair = models.Model(
        "pair", inputs, [tensor("y", (-1, 3))], models.host_kernel(lambda a, b: a - b)
    )
    for model, shapes in ((pair, {}), (lines(), {"x": (1, 16)})):
        with doubles.install():
            settings = quick(rounds=1, compare=True, inputs=Inputs(shapes=shapes))
            found = run(write(tmp_path, model), settings)
        assert set(found.ratios) == {"ceiling", "trtexec"}


def slow(seconds: float) -> FunctionBackend:
    """A model that takes so long."""
    x = TensorSpec("x", np.dtype("float32"), ("N", 4))

    def function(rows: Any) -> Any:
        time.sleep(seconds)
        return rows * 2

    return FunctionBackend(function, inputs=[x], outputs=[x])


def test_a_deadline_leaves_out_who_cannot_make_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trtasync.scheduler.expired.GRACE", 3600.0)  # no loop turns so late
    found = run(slow(0.02), quick(Closed(8), rounds=1, deadline=0.001), max_batch_size=1)
    assert found.samples[0].figures["missed"] > 0
    relative = quick(Closed(8), Open(0.5, relative=True), deadline=1e-6)
    with pytest.raises(InvalidInput, match="no capacity that a rate could be relative to"):
        run(slow(0.3), relative)


def test_the_shortest_time_has_an_answer_of_every_closed_load_and_yardstick(
    tmp_path: Path,
) -> None:
    path = write(tmp_path, models.elementwise(double))
    with doubles.install():
        for model in (path, ScriptedBackend()):
            found = run(model, quick(Closed(1), seconds=1e-9, warm_up=0.0, rounds=5, compare=True))
            assert all(sample.figures["requests"] >= 1 for sample in found.samples)
            assert all(
                each["median"] > 0 for name in found.ratios.values() for each in name.values()
            )


@pytest.mark.parametrize(
    "wrong",
    [
        {"seconds": 0},
        {"warm_up": -1},
        {"rounds": 0},
        {"deadline": 0},
        {"loads": ()},
        {"loop": "twisted"},
        {"loads": (Open(0.5, relative=True),)},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        Settings(**wrong)


def test_a_wrong_option_or_model_is_refused_and_nothing_stays_open() -> None:
    backend = ScriptedBackend()
    with pytest.raises(InvalidInput, match="streams"):
        run(backend, quick(), streams=0)
    with pytest.raises(TypeError, match="stream"):
        run(backend, quick(), stream=1)
    with pytest.raises(PlanError):
        run(MODELS / "missing.onnx", quick())
    with pytest.raises(InvalidInput):
        run(backend, quick(inputs=Inputs(shapes={"x": (5,)})))
    assert backend.closed == 1


@pytest.mark.parametrize("loop", ["asyncio", "uvloop", "trio"])
def test_ctrl_c_that_hits_a_task_is_ctrl_c(loop: Any) -> None:
    async def child() -> None:
        raise KeyboardInterrupt

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(child)
            await anyio.sleep_forever()

    with pytest.raises(KeyboardInterrupt):
        on_loop(loop, main)


def test_other_groups_pass_through() -> None:
    async def main() -> None:
        raise ExceptionGroup("several", [ValueError("one")])

    with pytest.raises(ExceptionGroup, match="several"):
        on_loop("trio", main)
