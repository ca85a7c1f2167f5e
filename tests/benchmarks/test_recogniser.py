"""A real model beside peers: what is served, who is asked, how it is told."""

from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

from benchmarks.load import rows
from benchmarks.peers.catalogue import ENVIRONMENTS, HTTP, IN_PROCESS, OWN
from benchmarks.peers.described import described
from benchmarks.recogniser import model
from benchmarks.recogniser.catalogue import PLAIN, SERVE, SYSTEMS, wanted_ratios
from benchmarks.recogniser.making import make
from benchmarks.recogniser.model import COLUMNS, MAX_BATCH_SIZE, PICTURE, STEPS, VARIABLE
from benchmarks.recogniser.plain import plain
from benchmarks.recogniser.table import recogniser
from benchmarks.systems import PRODUCT
from benchmarks.worker import Plan, answer, start
from benchmarks.works import work
from support.onnx_models import FLOAT, node, value, write_model
from trtasync.runtimes.onnxruntime.loading import import_runtime

CHARACTERS = 5
OURS, MOSEC = f"trtasync/{IN_PROCESS}", f"mosec-best/{HTTP}"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of the recogniser's form: pictures to probabilities of characters at each place."""
    weights = np.random.default_rng(5).standard_normal((COLUMNS // STEPS, CHARACTERS))
    return write_model(
        tmp_path_factory.mktemp("original") / "original.onnx",
        [
            node("Reshape", ["x", "places"], ["strips"]),
            node("MatMul", ["strips", "weights"], ["scores"]),
            node("Softmax", ["scores"], ["probabilities"], axis=2),
        ],
        [value("x", FLOAT, ["N", *PICTURE])],
        [value("probabilities", FLOAT, ["N", STEPS, CHARACTERS])],
        {"places": np.array([0, STEPS, -1]), "weights": weights.astype(np.float32) / 10},
    )


@pytest.fixture
def served(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same as it is served, and named as what is worked on."""
    path = tmp_path / "recogniser.onnx"
    make(original, path)
    monkeypatch.setenv(VARIABLE, str(path))
    model.session.cache_clear()
    return path


def test_the_answer_is_the_likeliest_character_of_each_place(original: Path, served: Path) -> None:
    asked = np.stack(rows(3, columns=COLUMNS))
    session = import_runtime().InferenceSession(original)
    (probabilities,) = session.run(None, {"x": asked.reshape(3, *PICTURE)})
    characters, certainties = np.split(work().model(asked), 2, axis=1)
    np.testing.assert_array_equal(characters, probabilities.argmax(axis=2))
    np.testing.assert_array_equal(certainties, probabilities.max(axis=2))


def test_a_process_works_on_what_it_was_started_for(
    served: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert work() is model.RECOGNISER
    monkeypatch.delenv(VARIABLE)
    assert work() is PRODUCT


@pytest.mark.parametrize("system", ["trtasync", "slab"])
def test_lines_are_read_and_checked_in_a_worker(system: str, served: Path) -> None:
    found = answer(start(Plan(system, "asyncio", {MAX_BATCH_SIZE + 1: 0.05, 1: 0.02}, 0.01)))
    assert [sample["requests"] > 0 for sample in found.values()] == [True, True]


def test_the_model_alone_counts_lines() -> None:
    found = anyio.run(plain, Plan("plain", "asyncio", {100: 0.02, 1: 0.01}))
    many, one = found[100], found[1]
    assert many["requests"] % PRODUCT.max_batch_size == 0
    for sample in (many, one):
        seconds = pytest.approx(sample["seconds"])
        assert sample["requests"] / sample["requests_per_second"] == seconds
        assert sample["cpu_us"] * sample["requests"] / 1e6 == pytest.approx(
            sample["cpu_cores"] * sample["seconds"]
        )


def test_everybody_has_an_environment_and_is_compared_with_the_model_alone() -> None:
    assert {system.environment for system in SYSTEMS.values()} <= {OWN, *ENVIRONMENTS}
    ratios = wanted_ratios(SYSTEMS)
    assert {ratio.over for ratio in ratios} == {PLAIN.cell}
    assert {ratio.cell for ratio in ratios} == set(SYSTEMS) - {PLAIN.cell}


def _one(value: float) -> dict[str, float]:
    return {"median": value, "min": value * 0.9, "max": value * 1.1}


def _figures(per_second: float, cpu_us: float, p50_us: float) -> dict[str, dict[str, float]]:
    return {
        "requests_per_second": _one(per_second),
        "cpu_us": _one(cpu_us),
        "p50_us": _one(p50_us),
        "p99_us": _one(2 * p50_us),
    }


@pytest.fixture
def result() -> dict[str, Any]:
    """Ours a little slower than the model alone, mosec not run."""
    cells = (PLAIN.cell, OURS, SERVE.cell, MOSEC)
    installed = {"mosec": {"mosec": "0.9.8"}}
    systems = described({cell: SYSTEMS[cell] for cell in cells}, installed, {MOSEC: "no wheel"})
    many, one = _figures(40.0, 25_000, 200_000), _figures(50.0, 20_000, 20_000)
    slower = _figures(39.0, 25_500, 410_000)
    return {
        "name": "recogniser",
        "commit": "0123456789abcdef",
        "dirty": False,
        "date": "2026-01-02 03:04 UTC",
        "hardware": {"cpu": "X", "cores": 2, "memory_gib": 4.0, "system": "Linux x86_64"},
        "versions": {"python": "3.11.7", "numpy": "2.4.6"},
        "parameters": {"rounds": 3, "foreign_cores": None, "max_batch_size": 8},
        "summary": {
            "systems": systems,
            "cells": {
                PLAIN.cell: {"16": many, "1": one},
                OURS: {"16": slower, "1": one},
                SERVE.cell: {"16": slower, "1": one},
            },
            "ratios": {ratio.key: _one(0.975) for ratio in wanted_ratios((OURS, SERVE.cell))},
        },
    }


def test_the_table_says_the_models_own_time_and_what_is_left_of_it(result: dict[str, Any]) -> None:
    own, _, *table = recogniser(result).splitlines()
    assert own.endswith(
        "200 ms for a batch of 8, 25 ms a line, and 20 ms for a single line. So it is slower in "
        "batches here, and who forms smaller ones gains by it."
    )
    rate = "39 (35.1 .. 42.9) | 0.97× [0.88 .. 1.07] | 25.5 | 0.97× [0.88 .. 1.07] | 410 | 820 | 20"
    assert f"| **trtasync** | in process | default | {rate} |" in table
    assert f"| **trtasync** | over HTTP | `trtasync serve` | {rate} |" in table
    (alone,) = [line for line in table if line.startswith("| the model alone")]
    assert "| 40 (36 .. 44) | 1 | 25 | 1 | 200 | 400 | 20 |" in alone
    (missing,) = [line for line in table if line.startswith("| mosec 0.9.8")]
    assert "not run: no wheel" in missing
    assert missing.count("|") == table[0].count("|")
    result["summary"]["cells"][PLAIN.cell]["1"]["p50_us"] = _one(40_000)
    assert recogniser(result).splitlines()[0].endswith("and 40 ms for a single line.")
