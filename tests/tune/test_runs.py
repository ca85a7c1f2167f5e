"""Whole runs: on the embedded default, on fakes, on the doubles of TensorRT."""

import inspect
import json
import threading
from pathlib import Path
from typing import Any

import anyio
import pytest

from support import doubles
from support.doubles import models
from support.helpers import MODELS
from tests.plans.support import GATHER
from tests.tensorrt.support import double, write
from trtasync import InferenceError, InvalidInput, PlanError, open_engine, tune
from trtasync.measure import Inputs
from trtasync.testing import ScriptedBackend
from trtasync.tune.work import Runner

PAIR = MODELS / "digits_pair.onnx"
QUICK: dict[str, Any] = {"seconds": 0.015, "warm_up": 0.0, "rounds": 2, "budget": 60.0}
"""Without a warm-up, which an open load might not outlast where the loop is held up meanwhile."""


def quick(**more: Any) -> tune.Settings:
    """Settings that take hundredths of a second a measurement."""
    return tune.Settings(**{**QUICK, **more})


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tune.Report:
    """A run to its end on the CPU backend."""
    news: list[tune.Progress] = []
    found = tune.run(
        PAIR,
        quick(
            streams=[1],
            max_batch_size=[2, 8],
            threads=[1],
            seconds=0.05,  # all points of the curve are to have answers
            state=tmp_path_factory.mktemp("state") / "s.jsonl",
        ),
        progress=news.append,
    )
    assert [each.step for each in news[1:]] == list(range(len(found.results)))
    assert {each.phase for each in news} == {"opening", "exploring", "finals", "curve"}
    assert news[-1].best is not None
    assert news[-1].score > 0
    return found


def test_the_report_says_what_was_measured(report: tune.Report) -> None:
    assert report.ended == "settled"
    assert report.recommended is not None
    assert {each.config.max_batch_size for each in report.verdict.standings} == {2, 8}
    assert report.verdict.why
    assert report.spent == pytest.approx(sum(each.outcome.seconds for each in report.results))
    loads = [point.load.name for point in report.curve]
    assert loads[0] == "1 caller"
    assert loads[-1].endswith("callers")
    assert len(loads) == len(set(loads)) >= 3
    assert all(point.requests_per_second > 0 for point in report.curve)


def test_the_call_can_be_pasted(report: tune.Report) -> None:
    """It compiles, and what it gives is what was measured."""
    code = f"async def main():\n{report.call}".replace("\n", "\n    ")
    names: dict[str, Any] = {}
    exec(compile(code, "call", "exec"), names)
    assert callable(names["main"])
    assert report.options is not None
    assert report.recommended is not None
    named = {name: value for name, value in report.options.items() if name != "batch_sizes"}
    largest = report.recommended.max_batch_size
    assert named == {"streams": 1, "max_batch_size": largest, "threads": 1}
    assert ("batch_sizes" in report.options) == (report.recommended.buckets != "any")


def test_the_json_has_all_of_it(report: tune.Report) -> None:
    found = json.loads(report.dumps())
    assert (found["name"], found["schema"], found["ended"]) == ("trtasync tune", 1, "settled")
    assert found["call"] == report.call
    assert len(found["results"]) == found["measurements"] == len(report.results)
    assert len(found["curve"]) == len(report.curve)
    assert {"date", "hardware", "versions", "parameters"} <= set(found)
    assert found["parameters"]["max_batch_size"] == [2, 8]
    for each in found["configurations"]:
        assert each["requests_per_second"] > 0


def test_the_plot_is_a_picture(report: tune.Report, tmp_path: Path) -> None:
    tune.plot(report, tmp_path / "out.png")
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(InvalidInput, match=r"\.png"):
        tune.plot(report, tmp_path / "out.txt")


def test_a_finished_run_is_not_measured_again(report: tune.Report) -> None:
    again = tune.run(PAIR, report.settings)
    assert again.reused == len(report.results)
    assert again.verdict == report.verdict


def test_under_a_goal(tmp_path: Path) -> None:
    small = {"streams": [1], "max_batch_size": [4], "threads": [1], "buckets": ["any"], "rounds": 1}
    small["seconds"] = 0.05  # or a pause of the machine is all there is
    settings = quick(p99=5.0, state=tmp_path / "s", **small)
    found = tune.run(PAIR, settings)
    assert found.recommended is not None
    chosen = found.verdict.recommended
    assert chosen is not None
    assert chosen.p99 is not None
    assert chosen.p99 <= 5.0
    tune.plot(found, tmp_path / "met.png")
    missed = tune.run(PAIR, quick(p99=1e-6, state=tmp_path / "s", **small))
    assert missed.recommended is None
    assert missed.call == ""
    assert missed.curve == []
    assert missed.verdict.nearest is not None
    assert "the nearest was" in missed.verdict.why
    assert json.loads(missed.dumps())["nearest"]["p99"] > 0
    tune.plot(missed, tmp_path / "missed.png")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop", "trio"])
def test_every_loop_and_a_backend_of_one_s_own(loop: Any) -> None:
    made: list[ScriptedBackend] = []

    def make() -> ScriptedBackend:
        made.append(ScriptedBackend())
        return made[-1]

    found = tune.run(
        make, quick(streams=[1, 2], max_batch_size=[4], loop=loop, inputs=Inputs(2), rounds=1)
    )
    assert found.recommended is not None
    assert found.state == ""  # nobody can tell two such models apart
    assert len(made) > 2
    assert [each.closed for each in made] == [1] * len(made)


def test_a_configuration_that_cannot_open_or_fails_is_recorded(tmp_path: Path) -> None:
    class Choosy(ScriptedBackend):
        def open(self, streams: int, max_batch_size: int, batch_sizes: Any = ()) -> Any:
            if max_batch_size == 8:
                raise MemoryError
            if max_batch_size == 16:
                self.bad = lambda row: True
            if streams == 2:
                self.lose = True
            return super().open(streams, max_batch_size, batch_sizes)

    found = tune.run(
        Choosy, quick(streams=[1, 2], max_batch_size=[4, 8, 16], buckets=["any"], rounds=1)
    )
    assert found.recommended is not None
    assert (found.recommended.streams, found.recommended.max_batch_size) == (1, 4)
    reasons = {
        (each.config.streams, each.config.max_batch_size): each.failure
        for each in found.verdict.standings
    }
    assert reasons[1, 8] == "MemoryError"
    assert "is bad" in reasons[1, 16]
    assert "is lost" in reasons[2, 4]


def test_when_nothing_opens_the_reason_is_given() -> None:
    class Broken(ScriptedBackend):
        def open(self, *_: Any) -> Any:
            raise InferenceError("no such luck")

    found = tune.run(Broken, quick(streams=[1, 2], max_batch_size=[4]))
    assert found.recommended is None
    assert found.verdict.why.endswith("configurations could be measured: no such luck")


def test_ctrl_c_leaves_a_partial_recommendation_and_the_rest_for_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = quick(
        streams=[1], max_batch_size=[2, 4], threads=[1], buckets=["any"], state=tmp_path / "s"
    )
    tuning = tune.Tuning(PAIR, settings)
    assert tuning.report() is None
    measure, count = Runner.measure, 0

    async def interrupted(self: Runner, probe: tune.Probe) -> tune.Outcome:
        nonlocal count
        count += 1
        if count == 3:
            raise KeyboardInterrupt
        return await measure(self, probe)

    monkeypatch.setattr(Runner, "measure", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tuning.run()
    partial = tuning.report()
    assert partial is not None
    assert partial.ended == "interrupted"
    assert partial.recommended is not None
    assert len(partial.results) == 2
    monkeypatch.undo()
    whole = tuning.run()
    assert whole.ended == "settled"
    assert whole.reused == 2
    assert list(whole.results[:2]) == list(partial.results)


# -- TensorRT, on its doubles ---------------------------------------------------------------------


def test_a_plan_has_streams_batches_buckets_and_graphs(tmp_path: Path) -> None:
    path = write(tmp_path, models.elementwise(double, most=4))
    with doubles.install():
        found = tune.run(path, quick(streams=[1, 2], rounds=1, seconds=0.02))
    space = found.subject.space
    assert space.max_batch_size == (1, 2, 4)
    assert (space.buckets, space.graphs) == (("powers", "coarse"), (True, False))
    assert found.subject.backend == "tensorrt"
    assert found.recommended is not None
    assert found.subject.about["hardware"]["gpus"] == ["Double GPU"]
    seen = {each.config.graphs for each in found.verdict.standings}
    assert seen == {True, False}
    assert {each.config.streams for each in found.verdict.standings} == {1, 2}


def test_a_batch_that_the_plan_refuses_is_recorded(tmp_path: Path) -> None:
    path = write(tmp_path, models.elementwise(double, most=4))
    with doubles.install():
        found = tune.run(
            path,
            quick(streams=[1], max_batch_size=[4, 8], graphs=[True], buckets=["powers"], rounds=1),
        )
    assert found.recommended is not None
    assert found.recommended.max_batch_size == 4
    (refused,) = [each for each in found.verdict.standings if each.failure]
    assert "the plan allows at most 4" in refused.failure


@pytest.mark.parametrize("profiles", [None, "index:1/2/4"])
def test_an_onnx_file_is_built_once(profiles: str | None) -> None:
    given: dict[str, Any] = {} if profiles is None else {"profiles": profiles}
    largest = [2, 8] if profiles is None else [2, 4]
    with doubles.install() as gpu:
        found = tune.run(
            GATHER,
            quick(streams=[1], max_batch_size=largest, graphs=[True], rounds=1),
            **given,
        )
        assert gpu.builds.started == 1
        assert found.recommended is not None
        names: dict[str, Any] = {}
        body = found.call.replace("\n", "\n    ").replace("...", "found.append(engine)")
        exec(f"async def main(found):\n    {body}", names)
        engines: list[Any] = []
        anyio.run(names["main"], engines)
        assert gpu.builds.started == 1  # the call finds the plan that was measured
        assert len(engines) == 1
    what = "max_batch_size=8" if profiles is None else 'profiles="index:1/2/4"'
    assert f"{what})" in found.call


# -- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"budget": 0}, "budget must be seconds"),
        ({"seconds": -1}, "seconds must be"),
        ({"p99": 0}, "p99 must be"),
        ({"warm_up": -1}, "warm_up"),
        ({"rounds": 0}, "rounds"),
        ({"streams": []}, "streams must be a list"),
        ({"streams": [0]}, "every number of streams"),
        ({"max_batch_size": "8"}, "max_batch_size must be a list"),
        ({"buckets": ["some"]}, "buckets are any, powers, coarse, full"),
        ({"graphs": ["on"]}, "graphs are True or False"),
        ({"loop": "twisted"}, "loop must be one of"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        tune.Settings(**wrong)


def test_options_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"graphs, streams: these options are tuned"):
        tune.run(PAIR, quick(), streams=2, graphs=True)
    with pytest.raises(TypeError, match="stream"):
        tune.run(PAIR, quick(), stream=1)
    with pytest.raises(InvalidInput, match="opens a model many times"):
        tune.run(ScriptedBackend(), quick())
    with pytest.raises(InvalidInput, match="CUDA graphs need a GPU"):
        tune.run(PAIR, quick(graphs=[True]))
    with pytest.raises(InvalidInput, match="does not fit"):
        tune.run(PAIR, quick(inputs=Inputs(shapes={"left": (5,)})))
    with pytest.raises(PlanError, match="missing"):
        tune.run(MODELS / "missing.onnx", quick())
    with doubles.install():
        path = write(tmp_path, models.elementwise(double))
        with pytest.raises(InvalidInput, match="CPU threads"):
            tune.run(path, quick(threads=[1]))
        with pytest.raises(InvalidInput, match="has to be kept"):
            tune.run(GATHER, quick(), cache=False)


def test_no_thread_is_left() -> None:
    before = {*threading.enumerate()}  # idle workers of earlier tests may end meanwhile
    tune.run(ScriptedBackend, quick(streams=[1], max_batch_size=[2], buckets=["any"], rounds=1))
    assert {*threading.enumerate()} <= before


def test_the_recommended_options_are_those_of_open_engine(report: tune.Report) -> None:
    assert report.options is not None
    assert set(report.options) <= set(inspect.signature(open_engine).parameters)
