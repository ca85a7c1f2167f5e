"""What every benchmark writes: `benchmarks/results/<name>.json`, with where and when it ran."""

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results"
PACKAGES = ("numpy", "anyio", "uvloop", "trio", "onnxruntime", "async-batcher", "trtasync")

Spread = dict[str, float]


def spread(values: Iterable[float]) -> Spread:
    """Median, smallest and largest, at four digits."""
    found = sorted(values)
    return {
        "median": _rounded(statistics.median(found)),
        "min": _rounded(found[0]),
        "max": _rounded(found[-1]),
    }


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def cell_name(system: str, *more: str) -> str:
    """The key of one system under one condition, such as "slab/uvloop"."""
    return "/".join((system, *more))


def write(
    name: str,
    parameters: Mapping[str, Any],
    samples: Sequence[Mapping[str, Any]],
    summary: Mapping[str, Any],
    path: Path | None = None,
) -> Path:
    """Write one benchmark's result.

    Args:
        name: the file's name without its ending.
        parameters: what the run was asked for.
        samples: every single one, in the order in which they were taken.
        summary: medians, spreads and ratios; what the README's tables are made of.
        path: the file, when it is not to lie among the committed results.

    Returns:
        The file written.
    """
    path = path or RESULTS / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    result = {
        "name": name,
        **commit(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "hardware": hardware(),
        "versions": versions(),
        "parameters": parameters,
        "summary": summary,
        "samples": samples,
    }
    path.write_text(json.dumps(result, indent=1) + "\n")
    return path


def commit() -> dict[str, Any]:
    """The commit measured and whether the tree differed from it (results apart).

    A copy of the tree without its history (on a lent GPU) is told by the environment.
    """
    if told := os.environ.get("BENCHMARK_COMMIT"):
        return {"commit": told, "dirty": False}
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


def hardware() -> dict[str, Any]:
    """The processor's name, the cores this process may use, and the memory."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": _cpu_model(),
        "cores": cores,
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)
    except (AttributeError, OSError, ValueError):
        return None


def versions() -> dict[str, str | None]:
    """Python's version and those of the packages that matter; None where one is missing."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found
