"""A check's report as tables."""

import math

from rich.console import Console

from trtasync.cli.tables import add_row, new_table, say, show_facts, show_table
from trtasync.inspection import CheckReport
from trtasync.rows import Finding, Verdict

BATCHING = {
    "auto": "auto: proved or tested rows share batches",
    "proved": "proved rows share batches",
    True: "on: rows share batches without a check",
    False: "off: requests run alone",
}


def show(console: Console, report: CheckReport) -> None:
    """Print a report."""
    facts = [
        ("model", report.model),
        ("run by", f"{report.backend}, {report.plan}" if report.plan else report.backend),
        ("batching", BATCHING[report.batching]),
        ("rows lie", ", ".join(_axis(name, axis) for name, axis in report.axes.items())),
        ("took", f"{report.seconds:.1f} s"),
    ]
    if report.proof:
        facts.append(("no proof", report.proof))
    show_facts(console, facts)
    if report.batching is not False:
        _rows(console, report)
    _numbers(console, report)
    console.print()
    for line in report.problems or ["All is well."]:
        say(console, line)


def _axis(name: str, axis: int | None) -> str:
    return f"{name} shared" if axis is None else f"{name} along axis {axis}"


def _rows(console: Console, report: CheckReport) -> None:
    table = new_table(console, "output", "rows", "axis", "evidence", figures=False)
    for each in report.outputs:
        if (found := each.finding) is not None:
            axis = "-" if found.axis is None else str(found.axis)
            add_row(table, each.name, found.verdict.value, axis, _evidence(found))
    show_table(console, table)


def _evidence(finding: Finding) -> str:
    if finding.verdict is Verdict.PROVED:
        return finding.why or "the graph shows it"
    if not finding.beside:
        return finding.why
    return f"changed by {_figure(finding.difference)} beside {finding.beside}; {finding.why}"


def _numbers(console: Console, report: CheckReport) -> None:
    compared = any(each.agreement is not None for each in report.outputs)
    columns = ["max diff", "relative"] if compared else []
    table = new_table(console, "output", "numbers", "NaN", "inf", *columns)
    for each in report.outputs:
        health, agreement = each.health, each.agreement
        cells = [f"{number:,}" for number in (health.elements, health.nan, health.infinite)]
        if compared:
            pair = (agreement.absolute, agreement.relative) if agreement else (math.nan, math.nan)
            cells += map(_figure, pair)
        add_row(table, each.name, *cells)
    show_table(console, table)


def _figure(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3g}"
