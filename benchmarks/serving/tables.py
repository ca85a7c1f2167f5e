"""The tables of our doors beside other servers."""

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.report import Result
from benchmarks.serving.catalogue import RATIOS, TARGETS, Target
from benchmarks.showing import median, rate, source, times
from benchmarks.table import number

COLUMNS = (
    "| | settings | body | connections | requests/s (min .. max) | CPU µs/request | p50 µs "
    "| p99 µs |"
)
FIGURES = {
    "requests_per_second": "requests/s",
    "cpu_us": "CPU per request",
    "p50_us": "p50",
}


def serving(result: Result) -> str:
    """Every server under every load, then what was to be reached."""
    summary = result["summary"]
    cells = summary["cells"][""]
    lines = [COLUMNS, "|---|---|---|---:|---:|---:|---:|---:|"]
    for cell, about in summary["systems"].items():
        said = f"| {about['title']} | {about['settings']} | {_body(cell, about)} "
        said += f"| {about['connections']} | "
        if "not_run" in about:
            lines.append(f"{said}not run: {about['not_run']} | | | |")
            continue
        found = cells[cell]
        others = " | ".join(median(found, figure) for figure in ("cpu_us", "p50_us", "p99_us"))
        lines.append(f"{said}{rate(found)} | {others} |")
    return "\n".join([*lines, "", *_ratios(summary), "", source(result)])


def _body(cell: str, about: Mapping[str, Any]) -> str:
    return f"{about['body']}, 600 KB" if cell.endswith("600 KB") else str(about["body"])


def _ratios(summary: Mapping[str, Any]) -> Iterator[str]:
    targets = {target.ratio: target for target in TARGETS}
    systems, found = summary["systems"], summary["ratios"]
    yield "| of | over | connections | figure | ratio [min .. max] | aim |"
    yield "|---|---|---:|---|---:|---:|"
    for ratio in RATIOS:
        if ratio.key not in found:
            continue
        ours, theirs = systems[ratio.cell], systems[ratio.over]
        aim = _aim(targets[ratio]) if ratio in targets else ""
        yield (
            f"| {ours['settings']}, {_body(ratio.cell, ours)} | {theirs['title']}, "
            f"{_body(ratio.over, theirs)} | {ours['connections']} | {FIGURES[ratio.figure]} "
            f"| {times(found[ratio.key])} | {aim} |"
        )


def _aim(target: Target) -> str:
    if target.least is not None:
        return f"≥ {number(target.least)}"
    return f"≤ {number(target.most or 0.0)}"
