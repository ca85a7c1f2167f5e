"""The figures of README and docs are those of the committed results."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import gpu_tables
from benchmarks.readme_tables import main, peers, regenerated
from benchmarks.report import RESULTS


def test_the_pages_show_the_committed_results() -> None:
    assert main(["--check"]) == 0


def figures(cpu_us: float) -> dict[str, dict[str, float]]:
    return {
        name: {"median": value, "min": value / 2, "max": value * 2}
        for name, value in {
            "requests_per_second": 1e6 / cpu_us,
            "cpu_us": cpu_us,
            "p50_us": 100 * cpu_us,
            "p99_us": 200 * cpu_us,
        }.items()
    }


@pytest.fixture
def result() -> dict[str, Any]:
    """Peers: ours, one that costs ten times as much, and one that could not be installed."""
    ours, other, missing = "trtasync/in process", "batched/in process", "mosec/HTTP"
    return {
        "name": "peers",
        "commit": "0123456789abcdef",
        "dirty": False,
        "date": "2026-01-02 03:04 UTC",
        "hardware": {"cpu": "X", "cores": 2, "memory_gib": 4.0, "system": "Linux x86_64"},
        "versions": {"python": "3.11.7", "numpy": "2.4.6"},
        "parameters": {"rounds": 3, "foreign_cores": None},
        "summary": {
            "systems": {
                ours: {"kind": "in process", "title": "**trtasync**", "settings": "default"},
                other: {"kind": "in process", "title": "batched 0.1.5", "settings": "`a=0`"},
                missing: {
                    "kind": "HTTP",
                    "title": "mosec (not installed)",
                    "settings": "default",
                    "not_run": "cannot be installed: ERROR: no wheel",
                },
            },
            "cells": {
                cell: {"64": figures(cpu), "1": figures(cpu)}
                for cell, cpu in {ours: 5.0, other: 50.0}.items()
            },
            "ratios": {
                f"{other} : {ours}, cpu_us at 64": {"median": 10.0, "min": 9.5, "max": 11.0},
                f"{other} : {ours}, p50_us at 64": {"median": 3.0, "min": 3.0, "max": 3.0},
            },
        },
    }


def test_peers_are_told_beside_ours(result: dict[str, Any]) -> None:
    table = peers(result).splitlines()
    assert "| **trtasync** | default | 200 k (100 k .. 400 k) | 5 | 1 | 0.5 | 1 | 0.5 |" in table
    assert (
        "| batched 0.1.5 | `a=0` | 20 k (10 k .. 40 k) | 50 | 10× [9.50 .. 11] | 5 | 10 | 5 |"
        in table
    )


def test_a_peer_that_was_not_run_is_told_with_the_reason(result: dict[str, Any]) -> None:
    line = "| mosec (not installed) | default | not run: cannot be installed: ERROR: no wheel |"
    (row,) = [row for row in peers(result).splitlines() if row.startswith("| mosec")]
    assert row == f"{line} | | | | |"
    assert row.count("|") == 9  # as many cells as the others have


def test_the_readme_gets_the_peers_table(result: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "peers.json").write_text(json.dumps(result))
    text = "before\n<!-- table:peers -->\nold\n<!-- /table -->\nafter"
    fresh = regenerated(text, tmp_path)
    assert "batched 0.1.5" in fresh
    assert "old" not in fresh
    assert regenerated(fresh, tmp_path) == fresh


def _page(*names: str) -> str:
    return "".join(f"a\n<!-- table:{name} -->\nold\n<!-- /table -->\nz\n" for name in names)


def _one(value: float) -> dict[str, float]:
    return {"median": value, "min": value * 0.9, "max": value * 1.1}


def _result(name: str, parameters: dict[str, Any], **summary: Any) -> dict[str, Any]:
    return {
        "name": name,
        "commit": "abcdef0123456789",
        "dirty": False,
        "date": "2026-11-24 10:00 UTC",
        "hardware": {"gpu": "NVIDIA H200", "cores": 32},
        "versions": {"python": "3.12.3", "torch": "2.11.0"},
        "parameters": {"rounds": 3, "seconds": 2.0, **parameters},
        "summary": summary,
    }


def _bert() -> dict[str, Any]:
    cell = {
        "requests_per_second": _one(20_000),
        "padding": _one(1.3),
        "by_length": _one(1.2),
        "by_rows": _one(1.083),
        "rows_per_batch": _one(24.6),
    }
    return _result(
        "gpu_bert",
        {"streams": [2], "padded_lengths": [16, 512]},
        cells={"trtasync/2": cell, "same batches/3": cell},
        ratios={
            "trtasync/2 : same batches/2, requests_per_second": _one(0.95),
            "trtasync/2 : full batches/2, requests_per_second": _one(0.8),
        },
        lengths={
            "source": "docstrings",
            "texts": 3925,
            "mean": 61.1,
            "quantiles": {"50": 27, "90": 150, "99": 512},
        },
    )


def _two_gpus() -> dict[str, Any]:
    cells, ratios = {}, {}
    for case in gpu_tables.CASES:
        for name in ("GPU 0", "GPU 1", "two GPUs"):
            cells[f"{name}/{case}/uvloop"] = {
                "requests_per_second": _one(15_000),
                "cpu_cores": _one(0.8),
                "share_of_first_gpu": _one(0.5),
            }
        for over in ("GPU 0", "GPU 1"):
            key = f"two GPUs/{case}/uvloop : {over}/{case}/uvloop, requests_per_second"
            ratios[key] = _one(1.97)
    return _result("gpu_two_gpus", {"loops": ["uvloop"]}, cells=cells, ratios=ratios)


def test_tables_of_gpus(tmp_path: Path) -> None:
    for result in (_bert(), _two_gpus()):
        (tmp_path / f"{result['name']}.json").write_text(json.dumps(result))
    page = regenerated(_page("gpu_bert", "gpu_two_gpus", "gpu_headlines", "gpu"), tmp_path)
    texts, both, headlines, everything = page.split("a\n<!--")[1:]
    assert "| 2 | 20,000 | 0.95 (0.855 .. 1.04) | 0.8 (0.72 .. 0.88) | 1.3 (1.2 x 1.08) |" in texts
    assert "median 27, mean 61.1, 90 % up to 150" in texts
    assert "3 round(s) of 2 s, 2026-11-24 10:00 UTC, abcdef0123" in texts
    assert "| ResNet-50, one image a request | uvloop | 15,000 | 15,000 | 1.97 (" in both
    assert "| 50% | 0.8 |" in both
    for part in (headlines, everything):
        assert "| same batches without the engine | 0.95 (0.855 .. 1.04) |" in part
        assert "| ResNet-50, four images a request, two GPUs, uvloop | GPU 0 alone | 1.97 (" in part
    assert "full batches" in everything
    assert "full batches" not in headlines
    assert "old" not in page


def test_what_was_not_measured_is_left_out(tmp_path: Path) -> None:
    page = regenerated(_page(*gpu_tables.names()), tmp_path)
    assert page.count(f"-->\n{gpu_tables.NOT_YET}\n<!-- /table -->") == len(gpu_tables.names())


@pytest.mark.parametrize("name", gpu_tables.names())
def test_every_table_can_be_made_of_the_committed_results(name: str) -> None:
    assert "old" not in regenerated(_page(name), RESULTS)


def test_an_unknown_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="table:gpu_nothing"):
        regenerated(_page("gpu_nothing"), tmp_path)
