"""The extras, by a package's metadata and what is installed."""

import tomllib
from importlib import metadata

import pytest

from tests.documents.running import ROOT
from trtasync.doctor.packages import GOOD_FOR, extras

TOLD = [
    "numpy>=1.26",
    'trtasync[build]; extra == "cli"',
    'typer>=0.26; extra == "cli"',
    'onnx>=1.17; extra == "build"',
    "uvloop>=0.21; sys_platform != 'win32' and extra == 'uvloop'",
    'pytest>=8; extra == "test"',
]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Versions of packages, to be filled."""
    there: dict[str, str] = {}

    def version(package: str) -> str:
        if package not in there:
            raise metadata.PackageNotFoundError(package)
        return there[package]

    monkeypatch.setattr(metadata, "version", version)
    return there


def test_an_extra_has_the_packages_of_those_within_it(installed: dict[str, str]) -> None:
    installed |= {"typer": "0.26.1", "onnx": "1.17.0"}

    build, cli, uvloop = extras(TOLD)

    assert (build.name, build.installed, build.missing) == ("build", {"onnx": "1.17.0"}, [])
    assert cli.installed == {"typer": "0.26.1", "onnx": "1.17.0"}
    assert (uvloop.installed, uvloop.missing) == ({}, ["uvloop"])


@pytest.mark.parametrize(
    ("version", "missing"),
    [("1.16.9", ["onnx>=1.17 (here is 1.16.9)"]), ("1.17", []), ("1.17.0rc1", []), ("2", [])],
)
def test_what_is_too_old_is_missing(
    installed: dict[str, str], version: str, missing: list[str]
) -> None:
    installed |= {"onnx": version}

    assert extras(TOLD)[0].missing == missing


def test_every_extra_for_users_is_known() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    developers = {"demo", "check", "release", "models", "bench", "clients", "docs"}
    all_extras = {name for name in project["optional-dependencies"] if "test" not in name}

    assert GOOD_FOR.keys() == all_extras - developers


def test_its_own_extras_are_found() -> None:
    assert {"cpu", "cli"} <= {extra.name for extra in extras()}
