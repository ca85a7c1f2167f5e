"""Environments: made once, made again when they should differ, never fatal."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.peers.catalogue import ENVIRONMENTS, OWN, SYSTEMS
from benchmarks.peers.venvs import (
    STAMP,
    ingredients,
    interpreters,
    prepare,
    prepare_all,
    python_of,
    versions,
)
from benchmarks.rounds import NotRun


class Pretended:
    """Runs nothing; remembers what it was asked, and fails when pip is to install a word."""

    def __init__(self, failing: str = "") -> None:
        self.commands: list[list[str]] = []
        self._failing = failing

    def __call__(self, command: Sequence[str]) -> None:
        self.commands.append(list(command))
        if "venv" in command:
            Path(command[-1]).mkdir(parents=True)
        elif self._failing and any(word.startswith(self._failing) for word in command):
            raise NotRun("cannot be installed: no wheel")


def test_an_environment_is_made_once(tmp_path: Path) -> None:
    run = Pretended()
    python = prepare("mosec", tmp_path, run)
    assert python == python_of(tmp_path / "mosec")
    assert len(run.commands) == 2
    wanted = list(ENVIRONMENTS["mosec"])
    assert run.commands[1][-len(wanted) :] == wanted
    assert prepare("mosec", tmp_path, run) == python
    assert len(run.commands) == 2


def test_and_again_when_it_is_to_hold_something_else(tmp_path: Path) -> None:
    run = Pretended()
    prepare("mosec", tmp_path, run)
    (tmp_path / "mosec" / STAMP).write_text("{}")
    prepare("mosec", tmp_path, run)
    assert len(run.commands) == 4


def test_one_that_cannot_be_made_is_a_reason_and_the_others_go_on(tmp_path: Path) -> None:
    made, failed = prepare_all(["mosec", "ray", "batched"], tmp_path, Pretended("ray"))
    assert set(made) == {"mosec", "batched"}
    assert failed == {"ray": "cannot be installed: no wheel"}
    assert not (tmp_path / "ray" / STAMP).exists()


def test_an_interpreter_that_is_not_there_is_a_reason() -> None:
    with pytest.raises(NotRun, match="its environment does not run"):
        versions(Path("nowhere/bin/python"))


def test_the_interpreter_that_measures_is_an_environment_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mosec").mkdir()  # made, it seems, but without an interpreter
    (tmp_path / "mosec" / STAMP).write_text(ingredients(ENVIRONMENTS["mosec"]))
    pythons, installed, failed = interpreters([OWN, "mosec"], tmp_path)
    assert pythons == {OWN: Path(sys.executable)}
    assert "numpy" in installed[OWN]
    assert list(failed) == ["mosec"]
    assert "mosec: its environment does not run" in capsys.readouterr().err


def test_all_requirements_are_pinned_by_name_alone() -> None:
    for requirements in ENVIRONMENTS.values():
        for requirement in requirements:
            name, _, version = requirement.partition("==")
            assert name.replace("-", "").replace("[serve]", "").isalnum()
            assert version


def test_every_system_has_an_environment_and_every_environment_a_system() -> None:
    assert {system.environment for system in SYSTEMS.values()} == set(ENVIRONMENTS)
