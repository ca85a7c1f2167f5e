"""`trtasync doctor`, and what of the command line needs no packages."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.doubles.child import ROOT
from tests.cli.options import COMMANDS
from tests.cli.support import refused, run, told
from trtasync import __version__


def without(package: str, *words: str) -> subprocess.CompletedProcess[str]:
    """The command line where a package is missing."""
    code = f"import sys; sys.modules[{package!r}] = None; import trtasync.__main__ as m; m.main()"
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_it_tells_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")

    text = run("doctor").stdout

    assert text.startswith(f"trtasync {__version__}, Python {sys.version.split()[0]}")
    for part in ("\nBackends\n", "\nGPUs\n", "\nLimits\n"):
        assert part in text
    assert max(map(len, text.splitlines())) <= 60


def test_programs_get_json(tmp_path: Path) -> None:
    report = told("doctor")
    run("doctor", "--json", tmp_path / "machine.json")

    assert report["trtasync"] == __version__
    assert json.loads((tmp_path / "machine.json").read_text()).keys() == report.keys()


def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    assert "there is no folder" in refused(
        2, "doctor", "--json", tmp_path / "none" / "machine.json"
    )


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_it_needs_no_packages(package: str) -> None:
    done = without(package, "doctor")

    assert (done.returncode, done.stderr) == (0, "")
    assert "onnxruntime" in done.stdout
    assert without(package, "--version").stdout == f"{__version__}\n"


@pytest.mark.parametrize("words", [(), ("--help",)])
def test_help_needs_none_and_names_every_command(words: tuple[str, ...]) -> None:
    done = without("typer", *words)

    assert (done.returncode, done.stderr) == (0, "")
    assert "pip install 'trtasync[cli]'" in done.stdout
    assert [name for name in COMMANDS if name not in done.stdout] == []
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("words", [("bench", "model.onnx"), ("doctor", "--json", "-")])
def test_what_does_need_them_says_so(words: tuple[str, ...]) -> None:
    done = without("typer", *words)

    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (3, "")
    for part in ("pip install 'trtasync[cli]'", "typer", "trtasync doctor", "trtasync --version"):
        assert part in line
