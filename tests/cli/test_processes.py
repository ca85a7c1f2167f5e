"""The command line as a process: Ctrl-C, tracebacks, missing packages."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.doubles.child import ROOT
from tests.cli.support import start
from tests.plans.support import GATHER, VERSIONS, contents, words


def python(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """A Python without the doubles."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_ctrl_c_stops_a_build_and_leaves_nothing(tmp_path: Path, version: str) -> None:
    log, output = tmp_path / "log", tmp_path / "out" / "m.plan"
    cache = tmp_path / "cache"
    child = start(
        log,
        *("build", GATHER, "-o", output, "--cache-dir", cache),
        TRTASYNC_DOUBLE_VERSION=version,
        TRTASYNC_DOUBLE_STEP_SECONDS="0.2",
    )
    try:
        while not log.exists() or "start" not in log.read_text():
            assert child.poll() is None, child.communicate()
        child.send_signal(signal.SIGINT)
        out, errors = child.communicate(timeout=120)
    finally:
        child.kill()
    assert child.returncode == 130, errors
    assert out == ""
    assert errors.splitlines()[-1] == "trtasync: interrupted; nothing was written."
    assert "Traceback" not in errors
    assert "end" not in log.read_text()
    assert contents(cache) == contents(tmp_path / "out") == {}


def test_debug_prints_a_traceback(tmp_path: Path) -> None:
    child = start(tmp_path / "log", "build", tmp_path / "none.onnx", "--debug")
    _, errors = child.communicate(timeout=120)
    assert child.returncode == 1
    words(errors, "Traceback", "BuildError", "none.onnx")


def test_an_error_is_one_line(tmp_path: Path) -> None:
    child = start(tmp_path / "log", "build", tmp_path / "none.onnx")
    out, errors = child.communicate(timeout=120)
    assert (child.returncode, out, len(errors.splitlines())) == (4, "", 1)


def test_the_module_is_the_command_line() -> None:
    done = python("-m", "trtasync", "inspect", str(GATHER), COLUMNS="200")
    assert done.returncode == 0, done.stderr
    words(done.stdout, "gather.onnx", "Gather", "index")
    assert python("-m", "trtasync", "--version").stdout.strip()


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_a_missing_package_is_one_line_with_the_remedy(package: str) -> None:
    code = f"import sys; sys.modules['{package}'] = None; import trtasync.__main__ as m; m.main()"
    done = python("-c", code, "inspect")
    (line,) = done.stderr.splitlines()
    assert done.returncode == 3
    words(line, "trtasync: ", "pip install 'trtasync[cli]'", package)


def test_a_module_of_our_own_that_is_missing_is_no_missing_package() -> None:
    code = "import sys; sys.modules['trtasync.cli'] = None; import trtasync.__main__ as m; m.main()"
    done = python("-c", code)
    assert done.returncode == 1
    words(done.stderr, "Traceback", "trtasync.cli")


def test_without_the_onnx_package_the_remedy_is_told() -> None:
    code = "import sys; sys.modules['onnx'] = None; import trtasync.__main__ as m; m.main()"
    done = python("-c", code, "inspect", str(GATHER))
    (line,) = done.stderr.splitlines()
    assert done.returncode == 3
    words(line, "pip install 'trtasync[build]'", "onnx")
