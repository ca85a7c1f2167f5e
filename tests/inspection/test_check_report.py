"""What a check's report takes for well, and how it is told."""

import io
import json
import math
from typing import Any

import pytest
from rich.console import Console

from trtasync.cli import check_tables
from trtasync.inspection import CheckReport, OutputCheck
from trtasync.rows import Finding, Verdict
from trtasync.rows.accuracy import Agreement, Health

GOOD = Finding("y", Verdict.TESTED, 0, "13 exchanges")
COUPLED = Finding("y", Verdict.COUPLED, 0, "first row of 3", "rows times 1e6", 0.25)


def report(*outputs: OutputCheck, **more: Any) -> CheckReport:
    """One of some outputs."""
    given: dict[str, Any] = {
        "model": "model.onnx",
        "plan": "",
        "backend": "onnxruntime",
        "batching": "auto",
        "tolerance": 1e-2,
        "axes": {"x": 0, "rate": None},
        "proof": "",
        "seconds": 1.5,
    }
    return CheckReport(**given | more, outputs=outputs)


def agreement(relative: float, shape: tuple[int, ...] = (3,)) -> Agreement:
    """With ONNX Runtime, whose output has shape [3]."""
    return Agreement("y", shape, (3,), relative * 4, relative)


@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize(
    ("batching", "good"),
    [
        ("auto", {Verdict.PROVED, Verdict.TESTED}),
        ("proved", {Verdict.PROVED}),
        (True, set(Verdict)),
        (False, set(Verdict)),
    ],
)
def test_which_verdicts_are_well(batching: Any, good: set[Verdict], verdict: Verdict) -> None:
    found = report(OutputCheck(Finding("y", verdict, why="why"), Health("y", 4)), batching=batching)
    assert found.well == (verdict in good)
    assert found.problems == ([] if found.well else [f"output 'y' is {verdict}: why"])


def test_a_coupling_is_told_with_its_evidence() -> None:
    (line,) = report(OutputCheck(COUPLED, Health("y", 4))).problems
    assert (
        line
        == "output 'y' is coupled: a row beside rows times 1e6 changed by 0.25 (first row of 3)"
    )


def test_what_is_no_number_is_a_problem() -> None:
    (line,) = report(OutputCheck(GOOD, Health("y", 12, 2, 1))).problems
    assert line == "output 'y' has 2 NaN and 1 inf among 12 numbers"


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (agreement(0.01), ""),
        (agreement(0.011), "differs from ONNX Runtime by 0.011, more than 0.01 (0.044 absolute)"),
        (agreement(math.nan), "differs from ONNX Runtime by nan"),
        (agreement(math.inf, (4,)), "has shape [4], in ONNX Runtime [3]"),
    ],
)
def test_the_tolerance(found: Agreement, words: str) -> None:
    problems = report(OutputCheck(None, Health("y", 3), found), batching=False).problems
    assert bool(problems) == bool(words)
    assert words in "".join(problems)


def test_the_json_is_json_whatever_was_found() -> None:
    outputs = [
        OutputCheck(COUPLED, Health("y", 3), agreement(math.inf, (4,))),
        OutputCheck(GOOD, Health("z", 3), agreement(0.5)),
    ]

    def refuse(word: str) -> None:
        raise AssertionError(word)

    text = json.dumps(report(*outputs, batching=True).to_json())
    found = json.loads(text, parse_constant=refuse)
    assert (found["name"], found["well"], found["batching"]) == ("trtasync check", False, True)
    assert found["axes"] == {"x": 0, "rate": None}
    first, second = found["outputs"]
    assert (first["agreement"]["relative"], first["agreement"]["shape"]) == (None, [4])
    assert first["finding"]["verdict"] == "coupled"
    assert second["agreement"]["relative"] == 0.5
    assert len(found["problems"]) == 2


def shown(found: CheckReport, width: int = 80) -> str:
    """Its tables."""
    file = io.StringIO()
    check_tables.show(Console(file=file, width=width), found)
    return file.getvalue()


def test_the_tables_name_everything() -> None:
    found = report(
        OutputCheck(COUPLED, Health("y", 1_234_567, 2, 1), agreement(0.125)),
        OutputCheck(GOOD, Health("z", 3)),
        plan="model.plan",
        proof="onnx is not installed",
    )
    text = shown(found)
    for word in (
        *("model.onnx", "onnxruntime, model.plan", "x along axis 0, rate shared", "1.5 s"),
        *("coupled", "0.25 beside rows times 1e6", "tested", "13 exchanges", "1,234,567"),
        *("0.5", "0.125", "onnx is not installed", *found.problems),
    ):
        assert word in text
    assert "All is well." not in text


def test_tables_without_rows_and_without_a_plan() -> None:
    text = shown(report(OutputCheck(None, Health("y", 3)), batching=False))
    assert "All is well." in text
    assert "evidence" not in text
    assert "relative" not in text


@pytest.mark.parametrize("width", [80, 40])
def test_tables_of_long_names_fit(width: int) -> None:
    name = "Q" * 200
    found = report(
        OutputCheck(
            Finding(name, Verdict.UNKNOWN, None, "W" * 200),
            Health(name, 10**10, 10**10, 10**10),
            Agreement(name, (3,), (3,), 1.23456e-30, 1.23456e-30),
        ),
        axes={name: 0},
        batching=True,
    )
    text = shown(found, width)
    lines = [line for line in text.splitlines() if not line.startswith("output '")]  # one each
    assert max(map(len, lines)) <= width
    assert text.count("Q") == 4 * 200
    assert text.count("W") == 200
    if width == 80:
        assert text.count("10,000,000,000") == 3
        assert text.count("1.23e-30") == 2
