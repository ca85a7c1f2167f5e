"""The machine and the versions that a measurement was made with."""

import os
import platform
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from trtasync.runtimes import Backend
from trtasync.system.cores import cores

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("trtasync", "numpy", "anyio", "uvloop", "trio", "onnxruntime", "cuda-bindings")


def facts(backend: Backend) -> dict[str, Any]:
    """Collect date, commit, hardware and versions for a report on a backend, ready for JSON."""
    found = record(PACKAGES)
    found["hardware"]["gpus"] = list(getattr(backend, "gpus", ()))
    if tensorrt := getattr(backend, "tensorrt", None):
        found["versions"]["tensorrt"] = str(tensorrt)
    return found


def record(packages: Iterable[str]) -> dict[str, Any]:
    """Collect date, commit, hardware and the versions of Python and the installed packages."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        **_commit(),
        "hardware": {
            "cpu": _cpu(),
            "cores": cores(),
            "memory_gib": _memory_gib(),
            "system": f"{platform.system()} {platform.machine()}",
        },
        "versions": {"python": platform.python_version()}
        | {name: found for name in packages if (found := _version(name))},
    }


def _commit() -> dict[str, Any]:
    """The commit of the checkout that contains this package, ignoring benchmark results; None for a
    package installed from a wheel."""
    if not (ROOT / ".git").exists():
        return {"commit": None, "dirty": None}
    head = _git("rev-parse", "--verify", "--quiet", "HEAD")
    changes = _git("status", "--porcelain", "--", ".", ":!benchmarks/results")
    return {"commit": head or None, "dirty": None if changes is None else bool(changes)}


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), platform.processor() or "unknown")


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)
    except (AttributeError, OSError, ValueError):
        return None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
