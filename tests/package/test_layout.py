"""Tests lie where they are looked for: by people, by import-linter and by the Makefile."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("trtasync", "support", "examples", "benchmarks", "tests")
LINES = 500
OF_A_TEST = re.compile(r"^\s*(?:from|import) tests\.(?:\S+\.)?test_\w+", re.MULTILINE)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_of_modules_is_a_package(package: str) -> None:
    """import-linter says nothing of what lies in other folders."""
    folders = {path.parent for path in (ROOT / package).rglob("*.py") if ".cache" not in path.parts}
    assert folders
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_every_test_lies_in_the_folder_of_what_it_tests() -> None:
    """The lists of the Makefile name folders."""
    assert list((ROOT / "tests").glob("test_*.py")) == []


def test_no_test_module_is_imported() -> None:
    """What several use lies in a module beside them, or in `support`."""
    modules = (ROOT / "tests").rglob("*.py")
    assert [path for path in modules if OF_A_TEST.search(path.read_text(encoding="utf-8"))] == []
    assert OF_A_TEST.search("from tests.cli.test_terminals import PAIR")


def test_every_file_of_tests_is_short() -> None:
    """One idea each; what several need lies in a module beside them."""
    lengths = {
        path.relative_to(ROOT): len(path.read_text(encoding="utf-8").splitlines())
        for path in (ROOT / "tests").rglob("*.py")
    }
    assert {path: lines for path, lines in lengths.items() if lines >= LINES} == {}
