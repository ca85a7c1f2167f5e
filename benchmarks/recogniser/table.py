"""The table of the recogniser: what everybody makes of the model's own time."""

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.peers.catalogue import HTTP, IN_PROCESS
from benchmarks.recogniser.catalogue import CALLERS, PLAIN, over_plain
from benchmarks.report import Result
from benchmarks.showing import milli, rate, source, times
from benchmarks.table import number

COLUMNS = (
    "requests/s (min .. max)",
    "of the model alone",
    "CPU ms/request",
    "CPU, alone = 1",
    "p50 ms",
    "p99 ms",
    "p50 ms, 1 caller",
)
WHERE = {IN_PROCESS: "in process", HTTP: "over HTTP"}


def recogniser(result: Result) -> str:
    """The model's time, then everybody's figures."""
    summary = result["summary"]
    head = " | ".join(COLUMNS)
    lines = [f"| | | settings | {head} |", "|---|---|---" + "|---:" * len(COLUMNS) + "|"]
    for cell, about in summary["systems"].items():
        lines.append(f"| {about['title']} | {WHERE[about['kind']]} | {about['settings']} | ")
        lines[-1] += " | ".join(_figures(cell, about, summary)) + " |"
    return "\n".join([_own_time(result), "", *lines, "", source(result)])


def _own_time(result: Result) -> str:
    """How long the model takes by itself."""
    alone = result["summary"]["cells"][PLAIN.cell]
    size = result["parameters"]["max_batch_size"]
    batch, line = (alone[str(callers)]["p50_us"]["median"] / 1000 for callers in (CALLERS, 1))
    said = (
        f"The model alone takes {number(batch)} ms for a batch of {size}, {number(batch / size)} "
        f"ms a line, and {number(line)} ms for a single line."
    )
    smaller = " So it is slower in batches here, and who forms smaller ones gains by it."
    return said + smaller if line < batch / size else said


def _figures(cell: str, about: Mapping[str, Any], summary: Mapping[str, Any]) -> Iterator[str]:
    if "not_run" in about:
        yield f"not run: {about['not_run']}"
        yield from [""] * (len(COLUMNS) - 1)
        return
    many, one = (summary["cells"][cell][str(callers)] for callers in (CALLERS, 1))
    speed, cost = (_ratio(cell, figure, summary) for figure in ("requests_per_second", "cpu_us"))
    yield from (rate(many), speed, milli(many, "cpu_us"), cost)
    yield from (milli(many, "p50_us"), milli(many, "p99_us"), milli(one, "p50_us"))


def _ratio(cell: str, figure: str, summary: Mapping[str, Any]) -> str:
    return "1" if cell == PLAIN.cell else times(summary["ratios"][over_plain(cell, figure).key])
