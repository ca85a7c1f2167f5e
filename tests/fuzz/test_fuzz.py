"""Hostile files and arguments end in an error of our own: the part of the fuzzing that CI runs."""

from pathlib import Path
from random import Random

import pytest

from support.helpers import MODELS
from tests.fuzz.attacks import ATTACKS
from tests.fuzz.hunt import Hunt, breaks_runtime
from tests.fuzz.models import by_bytes, by_structure, by_text

CASES = 2000
FIRST = 1
"""The same every time: `make nightly-fuzz` draws others."""


@pytest.mark.stress
@pytest.mark.timeout(600)
def test_no_attack_gets_through(tmp_path: Path) -> None:
    failures = [each for each in Hunt(tmp_path).failures(FIRST, CASES) if each.ours]
    assert not failures, "\n".join(map(str, failures))


def test_a_hunt_notices_death_hanging_memory_and_raw_errors(tmp_path: Path) -> None:
    hunt = Hunt(tmp_path, module="tests.fuzz.broken_child", patience=5.0, megabytes=32)
    failures = hunt.failures(0, 6)
    assert [(failure.seed, failure.how.split()[0]) for failure in failures] == [
        (1, "it"),
        (2, "it"),
        (3, "MemoryError:"),
        (4, "KeyError:"),
    ]
    assert "code -6" in failures[0].how
    assert "code -9" in failures[1].how
    for failure in failures:
        assert (failure.folder / "evidence").read_text() == "kept"
    assert {each.name for each in tmp_path.iterdir()} == {"1", "2", "3", "4", "stderr"}


def test_a_model_that_the_runtime_alone_does_not_load_in_time_is_its_own_affair() -> None:
    model = MODELS / "gather.onnx"
    assert breaks_runtime(model, patience=0.001)
    assert not breaks_runtime(model, patience=60.0)


def test_an_attacker_that_cannot_begin_is_no_success(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="ended by itself"):
        Hunt(tmp_path, module="tests.fuzz.no_such_module").failures(0, 3)


@pytest.mark.parametrize("make", [by_bytes, by_structure, by_text])
def test_a_seed_makes_the_same_model_again(make: object) -> None:
    assert callable(make)
    first, again = (make(Random(7)) for _ in range(2))
    assert first == again
    assert len({make(Random(seed)) for seed in range(20)}) > 10


def test_every_kind_of_attack_comes_often() -> None:
    weights = [weight for weight, _ in ATTACKS.values()]
    assert min(weights) / sum(weights) * CASES > 50
