"""A test and a proof joined: which of them counts, and what a user may say against both."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.helpers import tensor
from support.onnx_models import FLOAT, node, value, write_model
from tests.rows.support import FunctionTrial, graph
from trtasync import InvalidInput
from trtasync.model.outlines import LONG
from trtasync.model.tensors import ModelSpec
from trtasync.rows import Judgement, Verdict
from trtasync.rows.graph import ModelGraph, read_graph
from trtasync.rows.judge import Evidence, judge, report
from trtasync.rows.proof import Proof

SPEC = ModelSpec.from_tensors([tensor("x", "N", 4)], [tensor("y0", "N", 4)])


class Claims:
    """A graph that claims what it is told to."""

    def __init__(
        self, axis: int | None, why: str = "", mixes: bool = False, **operators: tuple[str, ...]
    ):
        self.random = operators.get("random", ())
        self.quantizing = operators.get("quantizing", ())
        self._proof = Proof(axis, why, mixes)

    def proofs(self, axes: Mapping[str, int | None]) -> dict[str, Proof]:
        assert axes == {"x": 0}
        return {"y0": self._proof}


def judged(function: Any, claims: Any, wanted: Any = "auto", seconds: float = 20.0) -> Any:
    trial = FunctionTrial(function, {"x": ("N", 4)})
    evidence = Evidence(trial=trial, graph=lambda: claims, seconds=seconds)
    settled, judgement = judge(SPEC, wanted, evidence)
    assert settled.batched is judgement.batched
    (finding,) = judgement.findings
    return judgement, finding


def double(x: Any) -> Any:
    return 2 * x


def coupled(x: Any) -> Any:
    return x - x.max(axis=0)


def test_a_proof_beats_a_test_that_saw_nothing() -> None:
    judgement, finding = judged(double, Claims(0))
    assert (judgement.batched, finding.verdict, finding.axis) == (True, Verdict.PROVED, 0)


def test_a_coupling_that_was_seen_beats_a_proof() -> None:
    judgement, finding = judged(coupled, Claims(0))
    assert (judgement.batched, finding.verdict) == (False, Verdict.COUPLED)


def test_a_proof_needs_no_time() -> None:
    judgement, finding = judged(double, Claims(0), seconds=0)
    assert (judgement.batched, finding.verdict) == (True, Verdict.PROVED)
    judgement, finding = judged(double, Claims(None, "no rule for 'Foo'"), seconds=0)
    assert (judgement.batched, finding.verdict) == (False, Verdict.UNKNOWN)
    assert "no rule for 'Foo'" in judgement.reason


@pytest.mark.parametrize("wanted", ["auto", "proved"])
def test_what_is_tested_but_not_proved_is_batched_unless_only_proofs_count(wanted: Any) -> None:
    judgement, finding = judged(double, Claims(None, "no rule"), wanted)
    assert finding.verdict is Verdict.TESTED
    assert judgement.batched is (wanted == "auto")


@pytest.mark.parametrize(
    ("operators", "verdict"),
    [
        ({"random": ("Bernoulli 'b'",)}, Verdict.RANDOM),
        ({"quantizing": ("DynamicQuantizeLinear 'q'",)}, Verdict.COUPLED),
    ],
)
def test_operators_that_couple_or_draw_count_more_than_a_test_that_saw_nothing(
    operators: Any, verdict: Verdict
) -> None:
    judgement, finding = judged(double, Claims(None, **operators))
    assert (judgement.batched, finding.verdict) == (False, verdict)
    assert next(iter(operators.values()))[0] in judgement.reason
    judgement, _ = judged(double, Claims(0, **operators))  # they do not reach this output
    assert judgement.batched


def test_where_the_graph_shows_that_rows_meet_a_silent_test_is_not_enough() -> None:
    judgement, finding = judged(
        double, Claims(None, "Slice 's' takes some of the rows", mixes=True)
    )
    assert (judgement.batched, finding.verdict) == (False, Verdict.UNKNOWN)
    assert "takes some of the rows" in judgement.reason


@pytest.mark.parametrize(
    ("body", "mixes"),
    [
        ("{ z = CumSum(x, w) y0 = Neg(z) }", False),  # along an axis that is not known
        ("{ z = Softmax<axis=0>(x) y0 = Neg(z) }", True),
        ("{ z = NonZero(x) y0 = Cast<to=1>(z) }", False),  # without a rule
        ("{ z = ReduceMax<keepdims=0>(x) y0 = Add(x, z) }", True),
    ],
)
def test_a_proof_tells_rows_that_meet_from_a_rule_that_is_missing(body: str, mixes: bool) -> None:
    read = read_graph(graph("(float[N,4] x, int64 w) => (float[a,b] y0)", body))
    assert read is not None
    proof = read.proofs({"x": 0, "w": None})["y0"]
    assert (proof.axis, proof.mixes) == (None, mixes)


def test_the_user_may_insist_or_forbid_and_nothing_is_run() -> None:
    trial = FunctionTrial(coupled, {"x": ("N", 4)})
    for wanted in (True, False):
        settled, judgement = judge(SPEC, wanted, Evidence(trial=trial))
        assert (settled.batched, judgement.batched, judgement.findings) == (wanted, wanted, ())
    assert trial.runs == []
    square = ModelSpec.from_tensors([tensor("x", "N", "N")], [tensor("y0", "N", "N")])
    with pytest.raises(InvalidInput, match="batch_axes"):
        judge(square, True, Evidence(trial=trial))


def test_a_backend_of_one_s_own_is_taken_at_its_word() -> None:
    settled, judgement = judge(SPEC, "auto", Evidence(trial=None))
    assert settled == SPEC
    assert judgement.batched
    settled, judgement = judge(SPEC, "proved", Evidence(trial=None))
    assert not judgement.batched


def test_axes_are_looked_for_only_where_the_file_names_none() -> None:
    """A request of one row must not mean something else because rows turned out coupled."""
    spec = ModelSpec.from_tensors([tensor("x", "N", "T")], [tensor("y0", "N", "T")])
    trial = FunctionTrial(coupled, {"x": ("N", "T")})  # along axis 1 its rows are independent
    settled, judgement = judge(spec, "auto", Evidence(trial=trial, seconds=20))
    assert not judgement.batched
    assert settled.inputs[0].batch_axis == 0
    unnamed = ModelSpec.from_tensors(
        [tensor("x", None, 3), tensor("h", 2, None, 3)], [tensor("y0", None, 3)]
    )
    assert not unnamed.has_rows
    trial = FunctionTrial(lambda x, h: x + h.sum(axis=0), {"x": (None, 3), "h": (2, None, 3)})
    settled, judgement = judge(unnamed, "auto", Evidence(trial=trial, seconds=20))
    assert judgement.batched
    assert [each.batch_axis for each in (*settled.inputs, *settled.outputs)] == [0, 1, 0]


def searched(function: Any) -> Judgement:
    """What is said of inputs of which the file says nothing."""
    spec = ModelSpec.from_tensors(
        [tensor("x", "A", "S"), tensor("h", "B", "T")], [tensor("y0", "C", "S")]
    )
    assert not spec.has_rows
    trial = FunctionTrial(function, {"x": ("A", "S"), "h": ("B", "T")})
    _, judgement = judge(spec, "auto", Evidence(trial=trial, seconds=20))
    return judgement


def test_why_no_axes_were_found_is_said_without_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "trtasync")
    judgement = searched(lambda x, h: x - x.max() + h.max())
    report("m", judgement)
    assert "no choice of axes passed the check; with {'x': 0, 'h': " in judgement.reason
    (record,) = caplog.records
    assert (record.levelname, "no choice of axes" in record.message) == ("INFO", True)


def test_axes_that_may_be_two_things_are_named() -> None:
    judgement = searched(lambda x, h: 2 * x)
    assert "more than one choice of axes would do: {'x': 0, 'h': " in judgement.reason


def test_what_has_no_dynamic_first_axis_is_not_searched() -> None:
    spec = ModelSpec.from_tensors([tensor("x", 3, "W")], [tensor("y0", 4, "W")])
    trial = FunctionTrial(lambda x: np.resize(x, (4, x.shape[1])), {"x": (3, "W")})
    _, judgement = judge(spec, "auto", Evidence(trial=trial, seconds=20))
    assert not judgement.batched
    assert trial.runs == []


def test_the_graph_of_a_real_model_is_read() -> None:
    read = read_graph(graph("(float[N,4] x) => (float[N,4] y0)", "{ y0 = Relu(x) }"))
    assert isinstance(read, ModelGraph)
    assert read.proofs({"x": 0})["y0"].axis == 0
    assert read_graph(b"\xff\xff no onnx") is None


def test_a_proof_needs_no_weights(tmp_path: Path) -> None:
    """They are not given to protobuf, which would hold the GIL for all of them."""
    path = write_model(
        tmp_path / "m.onnx",
        [node("MatMul", ["x", "w"], ["h"]), node("Reshape", ["h", "shape"], ["y0"])],
        [value("x", FLOAT, ["N", 256])],
        [value("y0", FLOAT, ["N", 128, 2])],
        {"w": np.ones((256, 256), np.float32), "shape": np.array([-1, 128, 2])},
    )
    for given in (path, path.read_bytes()):
        read = read_graph(given)
        assert read is not None
        assert read._model.ByteSize() < LONG
        assert read.proofs({"x": 0}) == {"y0": Proof(0)}
