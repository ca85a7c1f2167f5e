"""The README's figures are those of the committed results."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.readme_tables import main, peers, regenerated


def test_the_readme_shows_the_committed_results() -> None:
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
