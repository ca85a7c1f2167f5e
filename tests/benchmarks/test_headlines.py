"""The figures of the README's first screen."""

import copy
import json
from typing import Any

import pytest

from benchmarks.headlines import FIXED, FUSED_GPU, GPU, NAMES, headlines
from benchmarks.report import RESULTS


@pytest.fixture
def results() -> dict[str, Any]:
    """The committed ones, to be changed."""
    return {name: json.loads((RESULTS / f"{name}.json").read_text()) for name in NAMES}


def test_each_leads_to_its_file(results: dict[str, Any]) -> None:
    rows = headlines(results).splitlines()[2:5]
    for name in NAMES:
        assert f"[{name}.json](benchmarks/results/{name}.json)" in "\n".join(rows)


def test_they_are_those_of_the_files(results: dict[str, Any]) -> None:
    before = copy.deepcopy(results)
    cells = results["peers"]["summary"]["cells"]
    cells["trtasync/in process"]["1"]["p50_us"]["median"] = 123.0
    cells["ray/in process"]["1"]["p50_us"]["median"] = 45600.0
    cells["ray-best/in process"]["1"]["p50_us"]["median"] = 78.0
    results["gpu_resnet"]["summary"]["ratios"][GPU] = {"median": 0.5, "min": 0.4, "max": 0.6}
    results["gpu_resnet"]["summary"]["ratios"][FUSED_GPU] = {"median": 0.3, "min": 0.2, "max": 0.4}
    ways = [*results["model_coverage"]["summary"].values()]
    ways += results["real_models"]["summary"].values()
    for number, counts in enumerate(ways):
        counts |= {"wrong": 2 * number, "shared": 100, "refusals": {FIXED: number}}
    lone, gpu, wrong = headlines(results).splitlines()[2:5]
    assert "**0.123 ms**. " in lone
    at_once, unhurried = lone.split("with their default wait")
    assert "Ray's `@serve.batch` 0.078;" in at_once
    assert "Ray's `@serve.batch` 45.6." in unhurried
    assert "**0.50** (0.400 .. 0.600); **0.30** (0.200 .. 0.400) with fused" in gpu
    assert "**30 of " in wrong
    assert "; 600 of them shared batches." in wrong
    assert ": 15 take only a fixed number" in wrong
    assert headlines(before) != headlines(results)
