"""The figures of the README's first screen."""

import copy
import json
from typing import Any

import pytest

from benchmarks.headlines import GPU, NAMES, headlines
from benchmarks.report import RESULTS


@pytest.fixture
def results() -> dict[str, Any]:
    """The committed ones, to be changed."""
    return {name: json.loads((RESULTS / f"{name}.json").read_text()) for name in NAMES}


def test_each_leads_to_its_file(results: dict[str, Any]) -> None:
    rows = headlines(results).splitlines()[2:]
    assert len(rows) == 3
    for name in NAMES:
        assert f"[{name}.json](benchmarks/results/{name}.json)" in "\n".join(rows)


def test_they_are_those_of_the_files(results: dict[str, Any]) -> None:
    before = copy.deepcopy(results)
    cells = results["peers"]["summary"]["cells"]
    cells["trtasync/in process"]["1"]["p50_us"]["median"] = 123.0
    cells["ray/in process"]["1"]["p50_us"]["median"] = 45600.0
    results["gpu_resnet"]["summary"]["ratios"][GPU] = {"median": 0.5, "min": 0.4, "max": 0.6}
    results["real_models"]["summary"]["same shape"]["wrong"] += 2
    lone, gpu, wrong = headlines(results).splitlines()[2:]
    assert "**0.123 ms**; 45.6 with Ray's `@serve.batch`" in lone
    assert "**0.50** (0.400 .. 0.600)" in gpu
    assert "**2 of " in wrong
    assert headlines(before) != headlines(results)
