"""Every table says where it is from, and what its models take by themselves."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks.alone import Plan, microseconds
from benchmarks.models import cells
from benchmarks.own_times import MODELS, own_times
from benchmarks.readme_tables import MARKED, PAGES
from benchmarks.report import RESULTS, when
from benchmarks.systems import COLUMNS, IMAGE

RESULT_FILES = sorted(RESULTS.glob("*.json"))
TABLES = [
    pytest.param(match["name"], match[0], id=match["name"])
    for page in PAGES
    for match in MARKED.finditer(page.read_text(encoding="utf-8"))
]
STATED = {
    "recogniser": "The model alone takes",
    "overload": "A batch of n rows takes ",
    "ray_serve": "A batch takes ",
}
"""Tables that say it themselves, and how they begin to."""

SIMULATED = {"policies", "deadlines", "ablation"}
NO_TIMES = {"installs", "model_coverage", "genuine_builder", "real_models", "fleet_example"}
NOTHING_ELSE = {"gpu_streams"}
"""Tables of what models take without an engine."""


@pytest.mark.parametrize("path", RESULT_FILES, ids=lambda path: path.stem)
def test_results_are_of_a_clean_tree(path: Path) -> None:
    found = json.loads(path.read_text())
    assert found["commit"], "nobody knows of which code these are"
    assert found["dirty"] is False, "commit first, then measure again"


@pytest.mark.parametrize(("name", "table"), TABLES)
def test_a_table_says_when_and_where_it_was_measured(name: str, table: str) -> None:
    shown = set(re.findall(r"(\w+)\.json`", table))
    assert shown, "no file of results is named"
    for each in shown:
        result = json.loads((RESULTS / f"{each}.json").read_text())
        if name not in SIMULATED or each == name:
            assert when(result) in table, f"of {each}.json: date and commit"
            hardware = result["hardware"]
            assert hardware.get("gpu", hardware["cpu"]) in table, f"of {each}.json: the machine"


@pytest.mark.parametrize(("name", "table"), TABLES)
def test_a_table_says_what_its_models_take(name: str, table: str) -> None:
    if name in STATED:
        assert STATED[name] in table
    elif name not in SIMULATED | NO_TIMES | NOTHING_ELSE:
        for model in MODELS[name]:
            assert model.words in table


def _result(name: str, **summary: Any) -> dict[str, Any]:
    hardware = {"cpu": "c"} | ({"gpu": "g"} if name.startswith("gpu") else {})
    about = {"name": name, "date": "today", "commit": "abc", "dirty": False, "hardware": hardware}
    return {**about, "summary": summary}


def test_own_times_are_those_of_the_results() -> None:
    results = {
        "models": _result(
            "models",
            **{
                "product, NumPy at 32": {"us_per_row": {"median": 1.5}},
                "product, NumPy at 1": {"us_per_row": {"median": 7.25}},
            },
        ),
        "gpu_resnet": _result(
            "gpu_resnet",
            cells={
                "ceiling/float32/3": {"requests_per_second": {"median": 20_000}},
                "ceiling/fused float32/3": {"requests_per_second": {"median": 40_000}},
            },
        ),
    }
    assert own_times("headlines", results) == (
        "\n\n<sub>Models alone, per row, on a GPU with its copies: 12 KB by NumPy 1.5 µs in "
        "batches of 32, 7.25 µs by itself (`models.json`, today, abc; c); ResNet-50 float32 50 µs, "
        "ResNet-50 fused float32 25 µs (`gpu_resnet.json`, today, abc; g).</sub>"
    )
    assert own_times("installs", results) == ""


def test_every_model_of_a_table_is_measured() -> None:
    measured = cells(0.0)
    for models in MODELS.values():
        for model in models:
            if model.result == "models":
                assert f"{model.cell} at 32" in measured
                assert f"{model.cell} at 1" in measured


@pytest.mark.parametrize("columns", [COLUMNS, IMAGE])
@pytest.mark.parametrize("by", ["NumPy", "ONNX Runtime"])
def test_a_model_is_run_by_itself(columns: int, by: str) -> None:
    assert microseconds(Plan(columns, by, 2, 0.001)) > 0
