"""One virtual environment per peer, made once and kept; a failure is a reason, never the end."""

import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from benchmarks.peers.catalogue import ENVIRONMENTS, OWN
from benchmarks.peers.reasons import plain
from benchmarks.report import ROOT
from benchmarks.rounds import NotRun

DEFAULT = ROOT / ".peers"
STAMP = "made-of.json"
PATIENCE = 900.0
Run = Callable[[Sequence[str]], None]


def run(command: Sequence[str]) -> None:
    """Run a command to its end.

    Raises:
        NotRun: it failed, or took too long.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired as error:
        raise NotRun(f"installing took more than {PATIENCE:.0f} s") from error
    if done.returncode:
        raise NotRun(f"cannot be installed: {plain(done.stderr or done.stdout)}")


def python_of(venv: Path) -> Path:
    """The environment's interpreter."""
    return venv / "bin" / "python"


def ingredients(requirements: Sequence[str]) -> str:
    """What an environment is made of; another text means making it again."""
    return json.dumps({"python": platform.python_version(), "packages": list(requirements)})


def prepare(name: str, folder: Path, run: Run = run) -> Path:
    """Make the environment of that name unless it is there as it should be.

    Args:
        name: a key of `ENVIRONMENTS`.
        folder: where the environments lie.
        run: runs a command; raises `NotRun`.

    Returns:
        Its interpreter.

    Raises:
        NotRun: it cannot be made.
    """
    requirements = ENVIRONMENTS[name]
    venv = folder.resolve() / name
    stamp = venv / STAMP
    wanted = ingredients(requirements)
    if stamp.exists() and stamp.read_text() == wanted:
        return python_of(venv)
    print(f"making {name}: {' '.join(requirements)}", file=sys.stderr, flush=True)
    shutil.rmtree(venv, ignore_errors=True)
    run([sys.executable, "-m", "venv", str(venv)])
    pip = [str(python_of(venv)), "-m", "pip", "install", "--quiet", "--no-input"]
    run([*pip, "--disable-pip-version-check", "--no-cache-dir", *requirements])
    stamp.write_text(wanted)
    return python_of(venv)


def prepare_all(
    names: Iterable[str], folder: Path, run: Run = run
) -> tuple[dict[str, Path], dict[str, str]]:
    """All environments asked for: interpreters by name, and reasons of those that failed."""
    made: dict[str, Path] = {}
    failed: dict[str, str] = {}
    for name in names:
        try:
            made[name] = prepare(name, folder, run)
        except NotRun as reason:
            failed[name] = str(reason)
    return made, failed


def interpreters(
    names: Iterable[str], folder: Path
) -> tuple[dict[str, Path], dict[str, dict[str, str]], dict[str, str]]:
    """By environment: its interpreter, what is installed, and why it could not be made."""
    names = set(names)
    pythons, failed = prepare_all(sorted(names - {OWN}), folder)
    if OWN in names:
        pythons[OWN] = Path(sys.executable)
    installed = {}
    for name, python in list(pythons.items()):
        try:
            installed[name] = versions(python)
        except NotRun as reason:
            failed[name] = str(reason)
            del pythons[name]
    for name, why in failed.items():
        print(f"{name}: {why}", file=sys.stderr)
    return pythons, installed, failed


def versions(python: Path) -> dict[str, str]:
    """All distributions of an environment and their versions.

    Raises:
        NotRun: its interpreter does not run.
    """
    code = (
        "import json; from importlib.metadata import distributions;"
        "print(json.dumps({d.metadata['Name'].lower(): d.version for d in distributions()}))"
    )
    try:
        done = subprocess.run([str(python), "-I", "-c", code], capture_output=True, text=True)
    except OSError as error:
        raise NotRun(f"its environment does not run: {plain(str(error))}") from error
    if done.returncode:
        raise NotRun(f"its environment does not run: {plain(done.stderr)}")
    found: dict[str, str] = json.loads(done.stdout)
    return found
