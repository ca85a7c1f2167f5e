"""What every benchmark writes: `benchmarks/results/<name>.json`, with where and when it ran."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from trtasync.measure.machine import record

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
Result = Mapping[str, Any]
"""Such a file's content."""

PACKAGES = ("numpy", "anyio", "uvloop", "trio", "onnxruntime", "async-batcher", "trtasync")


def cell_name(system: str, *more: str) -> str:
    """The key of one system under one condition, such as "slab/uvloop"."""
    return "/".join((system, *more))


def when(result: Result) -> str:
    """The date and the commit of a result, for tables."""
    changed = ", changed" if result["dirty"] else ""
    return f"{result['date']}, {(result['commit'] or 'no commit')[:10]}{changed}"


def write(
    name: str,
    parameters: Mapping[str, Any],
    samples: Sequence[Mapping[str, Any]],
    summary: Any,
    path: Path | None = None,
    *,
    hardware: Mapping[str, Any] | None = None,
    packages: Iterable[str] = (),
) -> Path:
    """Write one benchmark's result, a line per sample.

    Args:
        name: the file's name without its ending.
        parameters: the parameters of the run.
        samples: every single one, in the order in which they were taken.
        summary: medians, spreads and ratios; what the README's tables are made of.
        path: the file, if not among the committed results.
        hardware: further details.
        packages: further ones whose versions matter.

    Returns:
        The file written.
    """
    about = record((*PACKAGES, *packages))
    about["hardware"] |= hardware or {}
    if told := os.environ.get("BENCHMARK_COMMIT"):  # for a copy of the tree without its history
        about |= {"commit": told, "dirty": False}
    result = {"name": name, **about, "parameters": parameters}
    result |= {"summary": summary, "samples": samples}
    path = path or RESULTS / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(_lines(result, depth=2) + "\n")
    return path


def _lines(value: Any, depth: int, indent: str = "") -> str:
    """JSON with a line per item of lists and objects, down to a depth."""
    if not depth or not isinstance(value, (list, dict)):
        return json.dumps(value)
    inner = f"{indent} "
    if isinstance(value, list):
        items = [_lines(item, depth - 1, inner) for item in value]
    else:
        items = [
            f"{json.dumps(key)}: {_lines(item, depth - 1, inner)}" for key, item in value.items()
        ]
    first, last = "[]" if isinstance(value, list) else "{}"
    return f",\n{inner}".join(items).join((f"{first}\n{inner}", f"\n{indent}{last}"))
