"""The cost of each extra: megabytes on disk, and how long `import trtasync` takes with it.

python -m benchmarks.installs [--extras EXTRA ...] (Linux; it needs a package index)

Each is installed from this tree into a fresh environment, on the Python that runs this. Extras that
include TensorRT are left out: they take gigabytes, and importing them needs a driver.
"""

import argparse
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.report import ROOT, Result, when, write

EXTRAS = {
    "": "trtasync",
    "cpu": "onnxruntime",
    "build": "onnx",
    "cli": "trtasync.cli",
    "server": "trtasync.server.asgi",
    "grpc": "trtasync.server.grpc",
    "metrics": "trtasync.integrations.prometheus",
    "otel": "trtasync.integrations.opentelemetry",
    "nvtx": "nvtx",
    "uvloop": "uvloop",
    "plot": "matplotlib.figure",
}
"""Those that are measured ("" is the library without any), and what is imported to use them."""

IMPORTS = 15
"""How often a fresh interpreter imports it."""

_TIMED = "import time; t = time.process_time(); import trtasync, {}; print(time.process_time() - t)"


def installed(extra: str) -> dict[str, float]:
    """Install into a new environment, and measure.

    Returns:
        `megabytes` (10^6 bytes) and `packages` installed, ours included, and the median `import_ms`
        of the library and the extra's packages: CPU time, with files in the page cache.
    """
    with tempfile.TemporaryDirectory() as home:
        venv.create(home, with_pip=True)
        python = str(Path(home, "bin", "python"))
        before = _size(home)
        wanted = f"{ROOT}[{extra}]" if extra else str(ROOT)
        pip = [python, "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--quiet", wanted], check=True)
        came = _output(*pip, "list", "--format=freeze", "--exclude=pip", "--exclude=setuptools")
        grown = _size(home) - before
        code = _TIMED.format(EXTRAS[extra])
        times = [float(_output(python, "-I", "-c", code)) for _ in range(IMPORTS + 1)][1:]
    return {
        "megabytes": grown / 1e6,
        "packages": len(came.splitlines()),
        "import_ms": median(times) * 1e3,
    }


def _size(folder: str) -> int:
    files = (path for path in Path(folder).rglob("*") if path.suffix != ".pyc")
    return sum(path.lstat().st_size for path in files)


def _output(*command: str) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def installs(result: Result) -> str:
    """The table."""
    lines = [
        "| `pip install` | MB on disk | packages | imported | CPU ms of that |",
        "|---|---:|---:|---|---:|",
    ]
    cells: Mapping[str, Mapping[str, float]] = result["summary"]
    for extra, found in cells.items():
        name = f"trtasync[{extra}]" if extra else "trtasync"
        size, took = f"{found['megabytes']:,.0f}", f"{found['import_ms']:.0f}"
        lines.append(f"| `{name}` | {size} | {found['packages']} | `{EXTRAS[extra]}` | {took} |")
    hardware, count = result["hardware"], result["parameters"]["imports"]
    lines += [
        "",
        f"<sub>Without pip and bytecode. Imported after `trtasync`, which counts as well: median "
        f"of {count} interpreters. {when(result)}; {hardware['cpu']}, {hardware['system']}, "
        f"Python {result['versions']['python']}. `benchmarks/results/{result['name']}.json`</sub>",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, one after the other, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--extras", nargs="+", choices=EXTRAS, default=list(EXTRAS))
    parser.add_argument("--out", type=Path, help="a file other than the committed one")
    options = parser.parse_args()
    summary: dict[str, Any] = {}
    for extra in options.extras:
        summary[extra] = installed(extra)
        print(extra or "(none)", summary[extra], file=sys.stderr)
    write("installs", {"imports": IMPORTS}, [], summary, options.out)


if __name__ == "__main__":
    main()
