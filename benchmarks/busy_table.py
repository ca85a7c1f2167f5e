"""The tables of engines beside something that computes, made from `busy_thread.json`."""

from collections.abc import Mapping
from typing import Any

from benchmarks.report import Result, cell_name
from benchmarks.showing import milli, rate, source
from benchmarks.table import number

SYSTEM_NAMES = {
    "slab": "12 KB, a numpy function, hand-written batcher",
    "trtasync": "12 KB, a numpy function",
    "small": "12 KB, ONNX Runtime",
    "small shared": "12 KB, ONNX Runtime, `shared=True`",
    "large": "602 KB, ONNX Runtime",
    "large shared": "602 KB, ONNX Runtime, `shared=True`",
    "large shared in place": "602 KB, ONNX Runtime, `shared=True`, rows in `empty_input`",
}
ALONE, THREAD, OFTEN = "none, 5 ms", "thread, 5 ms", "thread, 0.5 ms"
COROUTINE = "coroutine, 5 ms"
MANY, ONE = "64", "1"
"""Callers."""


def busy_thread(result: Result) -> str:
    """Every system beside a thread; then beside a coroutine, those that were asked so."""
    cells = result["summary"]["cells"]
    systems = list(dict.fromkeys(cell.partition("/")[0] for cell in cells))
    lines = [
        "| rows, model | requests/s alone (min .. max) | beside a computing Python thread | left "
        "| left at a switch interval of 0.5 ms | p99 ms alone | beside it "
        "| p99 ms, 1 caller alone | beside it |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
        *(_beside_thread(result["summary"], system) for system in systems),
        "",
        "| rows, model | requests/s alone (min .. max) "
        "| beside a coroutine computing 2 ms at a time | left | p50 ms alone | beside it "
        "| p50 ms, 1 caller alone | beside it |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
        *(
            _beside_coroutine(result["summary"], system)
            for system in systems
            if cell_name(system, COROUTINE) in cells
        ),
    ]
    return "\n".join([*lines, "", source(result)])


def _beside_thread(summary: Mapping[str, Any], system: str) -> str:
    left = [_left(summary, system, beside) for beside in (THREAD, OFTEN)]
    return _row(summary, system, THREAD, left, "p99_us")


def _beside_coroutine(summary: Mapping[str, Any], system: str) -> str:
    return _row(summary, system, COROUTINE, [_left(summary, system, COROUTINE)], "p50_us")


def _row(summary: Mapping[str, Any], system: str, beside: str, left: list[str], late: str) -> str:
    both = [summary["cells"][cell_name(system, under)] for under in (ALONE, beside)]
    rates = [rate(each[MANY]) for each in both]
    waits = [milli(each[callers], late) for callers in (MANY, ONE) for each in both]
    return f"| {' | '.join((SYSTEM_NAMES[system], *rates, *left, *waits))} |"


def _left(summary: Mapping[str, Any], system: str, beside: str) -> str:
    one, other = cell_name(system, beside), cell_name(system, ALONE)
    ratio = summary["ratios"][f"{one} : {other}, requests_per_second at {MANY}"]
    middle, low, high = (number(100 * ratio[key]) for key in ("median", "min", "max"))
    return f"{middle} % [{low} .. {high}]"
