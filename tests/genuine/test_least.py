"""`--genuine-at-least`: all tests fail where too few of them have met NVIDIA's builder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import GENUINE

ROOT = Path(__file__).parents[2]

TESTS = f"""
import pytest


@pytest.mark.{GENUINE}
@pytest.mark.parametrize("number", range(3))
def test_genuine(number):
    if number == 2:
        pytest.skip("the library is not there")


def test_on_a_double():
    pass
"""


@pytest.mark.parametrize(
    ("least", "status", "line"),
    [
        (2, 0, "= 2 of them passed on NVIDIA's own builder ="),
        (3, 1, "= 2 of them passed on NVIDIA's own builder; at least 3 are wanted ="),
    ],
)
def test_tests_that_were_skipped_do_not_count(
    tmp_path: Path, least: int, status: int, line: str
) -> None:
    (tmp_path / "test_some.py").write_text(TESTS)
    options = [
        "--genuine-at-least",
        str(least),
        "-p",
        "tests.conftest",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "-c", os.devnull, str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # they take seconds to import
        capture_output=True,
        text=True,
        check=False,
    )
    assert line in done.stdout, done.stdout + done.stderr
    assert "3 passed, 1 skipped" in done.stdout
    assert done.returncode == status


def test_make_asks_for_them_where_all_tests_are_run() -> None:
    def told(*arguments: str) -> str:
        command = ["make", "--dry-run", "--always-make", "test", *arguments]
        # not as a part of the make that may have started these tests
        env = {name: value for name, value in os.environ.items() if "MAKE" not in name}
        return subprocess.run(
            command, cwd=ROOT, env=env, capture_output=True, text=True, check=True
        ).stdout.splitlines()[-1]

    assert told().endswith(" --genuine-at-least 300")
    assert told("ARGS=-k word").endswith(" -k word")
    assert "--genuine-at-least" not in told("ARGS=-k word")
