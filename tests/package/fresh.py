"""Installs as README.md says, from nothing, and runs its ten lines: `make fresh`.

Each command is taken from the README as it stands there, and runs in a clean checkout of what is
committed, with an environment of its own. This needs a package index, so no test does it; the
tests install what they find here (`test_release.py`).
"""

import os
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]


def ways(readme: str) -> dict[str, list[str]]:
    """The commands of its section "Install", by where the package comes from."""
    section = readme.partition("\n## Install\n")[2].partition("\n## ")[0]
    lines = [line.partition("#")[0].strip() for line in section.splitlines()]
    local, *wheel = [line for line in lines if line.startswith("pip ")]
    return {"the repository": [local], "a wheel": wheel}


def ten_lines(readme: str) -> str:
    """Its first Python code."""
    return readme.partition("```python\n")[2].partition("```")[0]


def clone(folder: Path) -> None:
    """Check out what is committed."""
    command = ["git", "clone", "--quiet", "--depth=1", f"file://{ROOT}", str(folder)]
    subprocess.run(command, check=True)


def try_out(commands: list[str], code: str) -> str:
    """What the code prints in an environment that was made by these commands.

    Raises:
        subprocess.CalledProcessError: one of them failed; its output is on stderr.
    """
    with tempfile.TemporaryDirectory() as made:
        folder, home = Path(made) / "clone", Path(made) / "venv"
        clone(folder)
        venv.create(home, with_pip=True)
        own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        own |= {"PATH": f"{home / 'bin'}{os.pathsep}{own['PATH']}", "PIP_QUIET": "1"}
        for command in commands:
            subprocess.run(command, shell=True, cwd=folder, env=own, check=True)
        run = [str(home / "bin" / "python"), "-W", "error", "-c", code]
        return subprocess.check_output(run, cwd=made, env=own, text=True)


def main() -> None:
    """Try every way; the first that fails ends it."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, commands in ways(readme).items():
        begin = time.perf_counter()
        printed = try_out(commands, ten_lines(readme))
        if "594" not in printed:
            sys.exit(f"from {name}: the ten lines print {printed!r}")
        sys.stdout.write(f"from {name}: {time.perf_counter() - begin:.0f} s, {printed}")


if __name__ == "__main__":
    main()
