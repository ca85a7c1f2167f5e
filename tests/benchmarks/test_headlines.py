"""The figures of the README's first screen."""

import copy
import json
from typing import Any

import pytest

from benchmarks.headlines import FIXED, NAMES, headlines
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
    for number, kind in enumerate(("float32", "fused float32")):
        resnet, ours = results["gpu_resnet"]["summary"], f"trtasync/{kind}/3"
        resnet["cells"][ours]["requests_per_second"]["median"] = 12_000.0
        alone = resnet["cells"][f"plain spinning/{kind}/one client"]
        alone["requests_per_second"]["median"] = 1000.0 * (1 + number)
        ceiling = resnet["ratios"][f"{ours} : ceiling/{kind}/3, requests_per_second"]
        ceiling |= {"median": 0.5, "min": 0.4, "max": 0.6}
    ways = [*results["model_coverage"]["summary"].values()]
    ways += results["real_models"]["summary"].values()
    for number, counts in enumerate(ways):
        counts |= {"wrong": 2 * number, "shared": 100, "refusals": {FIXED: number}}
    gpu, lone, wrong = headlines(results).splitlines()[2:5]
    assert "**0.123 ms**. " in lone
    at_once, unhurried = lone.split("with their default wait")
    assert "Ray's `@serve.batch` 0.078;" in at_once
    assert "Ray's `@serve.batch` 45.6." in unhurried
    plain, fused = gpu.split("With fused convolutions")
    assert "**12,000**, **12.0 times** as many as image by image" in plain
    assert "and 0.50 (0.400 .. 0.600) of full batches" in plain
    assert "**12,000**, **6.0 times** as many" in fused
    assert "**30 of " in wrong
    assert "; 600 of them shared batches." in wrong
    assert ": 15 take only a fixed number" in wrong
    assert headlines(before) != headlines(results)
