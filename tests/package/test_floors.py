"""The oldest versions that are allowed: each is named, and the script that lists them reads all."""

import itertools
import re
import tomllib
from pathlib import Path

import pytest

from tests.package.floors import PYPROJECT, floors

NVIDIAS_OWN = {"tensorrt-cu12", "tensorrt-cu13"}
"""Whichever suits the driver; what is too old for us says so when it is loaded."""

EXAMPLE = """
[project]
name = "own"
dependencies = ["anyio>=4.9", "numpy>=1.26"]
[project.optional-dependencies]
cli = ["own[build,plot]", "typer>=0.26; sys_platform != 'win32'"]
build = ["anyio>=4.11", "pinned==1.2.3"]
plot = ["plotter >= 3.10.9"]
free = ["anything"]
"""


@pytest.fixture
def example(tmp_path: Path) -> Path:
    file = tmp_path / "pyproject.toml"
    file.write_text(EXAMPLE)
    return file


def test_extras_within_extras_count_and_the_highest_floor_holds(example: Path) -> None:
    assert floors([], example) == {"anyio": "4.9", "numpy": "1.26"}
    assert floors(["cli"], example) == {
        "anyio": "4.11",
        "numpy": "1.26",
        "typer": "0.26",
        "pinned": "1.2.3",
        "plotter": "3.10.9",
    }


def test_a_package_without_a_lowest_version_is_refused(example: Path) -> None:
    with pytest.raises(ValueError, match="anything has no lowest version"):
        floors(["free"], example)


def test_every_requirement_of_ours_has_a_lowest_version() -> None:
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    asked = [*project["dependencies"], *itertools.chain.from_iterable(extras)]
    open_ended = {
        re.split(r"[\[<>=; ]", each)[0] for each in asked if "=" not in each.split(";")[0]
    }
    assert open_ended - {project["name"]} == NVIDIAS_OWN


def test_what_is_tested_has_everything_that_users_may_install() -> None:
    for extra in ("cpu", "build", "cli", "plot", "uvloop"):
        assert floors([extra]).items() <= floors(["test"]).items(), extra
