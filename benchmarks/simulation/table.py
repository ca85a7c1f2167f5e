"""The comparison as text, in Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.simulation.study import OURS
from benchmarks.simulation.verdict import FIGURES, Summary, better, worse

RIVALS = ("best fixed delay", "best delay above 0")


def tables(points: Sequence[Summary]) -> str:
    """One table per machine, and how many points are worse."""
    machines = dict.fromkeys(point["machine"] for point in points)
    found = [table([point for point in points if point["machine"] == name]) for name in machines]
    return "\n\n".join([*found, counts(points)])


def counts(points: Sequence[Summary]) -> str:
    """Of all points, those worse than the best fixed delay, and the size of the worst."""
    lines = [
        "| machine | against | p50 worse | p99 worse | goodput worse |",
        "|---|---|---:|---:|---:|",
    ]
    for machine in dict.fromkeys(point["machine"] for point in points):
        mine = [point for point in points if point["machine"] == machine]
        for rival in RIVALS:
            cells = [_count(mine, rival, figure) for figure in FIGURES]
            lines.append(f"| {machine} | {rival} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _count(points: Sequence[Summary], rival: str, figure: str) -> str:
    found = [point[rival][figure] for point in points]
    bad = [float(best["ratio"]["median"]) for best in found if worse(best, figure)]
    if not bad:
        return f"0 of {len(found)}"
    worst = min(bad) if figure == "goodput" else max(bad)
    return f"**{len(bad)}** of {len(found)}, at most {worst:.2f}×"


def table(points: Sequence[Summary]) -> str:
    """Every point of one machine."""
    lines = [
        f"**{points[0]['machine']}**",
        "",
        "| arrivals | load | p50 ms | best fixed | | p99 ms | best fixed | "
        "| goodput/s | best fixed | |",
        "|---|---:|---:|---:|:--|---:|---:|:--|---:|---:|:--|",
    ]
    lines += [_row(point) for point in points]
    return "\n".join(lines)


def _row(point: Summary) -> str:
    cells = [str(point["process"]), f"{point['load']:.0%}"]
    for figure in FIGURES:
        best = point[RIVALS[0]][figure]
        ours = point["policies"][OURS][figure]
        cells += [_value(ours, figure), _value(best["value"], figure), sign(best, figure)]
    return f"| {' | '.join(cells)} |"


def sign(best: Mapping[str, Any], figure: str) -> str:
    """What is to be said: better, the same, or worse and by how much."""
    ratio = best["ratio"]
    if worse(best, figure):
        return f"**WORSE {ratio['median']:.2f}×** [{ratio['min']:.2f} .. {ratio['max']:.2f}]"
    return f"better {ratio['median']:.2f}×" if better(best, figure) else "same"


def _value(found: Mapping[str, float], figure: str) -> str:
    value = found["median"]
    return f"{value:,.0f}" if figure == "goodput" else f"{value * 1e3:.2f}"
