"""A plot of a report: throughput over batch size and streams, and the recommended curve."""

from pathlib import Path
from typing import Any

from trtasync.measure.loads import Open
from trtasync.measure.plot import COLOURS, STYLES, picture, rates
from trtasync.tune.choice import Standing
from trtasync.tune.report import Report
from trtasync.tune.space import Config

MARKERS = "osD^vPX*"


def plot(report: Report, path: Path) -> None:
    """Draw the `report` into the file `path`.

    Raises:
        BackendUnavailable: matplotlib is not installed.
        InvalidInput: the file type is not supported.
    """
    partial = "" if report.ended == "settled" else f" ({report.ended}: partial)"
    subject = f"{Path(report.subject.name).name} on {report.subject.backend}"
    with picture(path, subject, report.subject.about, partial) as (left, right):
        _batches(left, report)
        _curve(right, report)


def _batches(axes: Any, report: Report) -> None:
    """Draw the score over the largest batch, a line per number of streams; each point is the best
    of the remaining choices."""
    best: dict[tuple[int, int], Standing] = {}
    for each in report.verdict.standings:  # in descending order
        if each.score is not None:
            best.setdefault((each.config.streams, each.config.max_batch_size), each)
    counts = sorted({streams for streams, _ in best})
    for index, streams in enumerate(counts):
        points = sorted((batch, each) for (count, batch), each in best.items() if count == streams)
        axes.plot(
            [batch for batch, _ in points],
            [each.score for _, each in points],
            STYLES[index % len(STYLES)],
            marker=MARKERS[index % len(MARKERS)],
            color=COLOURS[index % len(COLOURS)],
            markersize=5,
            label=f"{streams} stream{'s' if streams > 1 else ''}",
        )
    missed = [each for each in report.verdict.standings if each.below is not None]
    if missed:
        axes.plot(
            [each.config.max_batch_size for each in missed],
            [each.below for each in missed],
            "v",
            color="#999999",
            markersize=5,
            label="missed the goal here",
        )
    chosen = report.verdict.recommended
    if chosen is not None:
        axes.plot(
            [chosen.config.max_batch_size],
            [chosen.score],
            "o",
            markersize=15,
            markerfacecolor="none",
            markeredgecolor="black",
            label="recommended",
        )
    goal = report.settings.p99
    what = "at full load" if goal is None else f"with a p99 of at most {goal * 1e3:g} ms"
    axes.set(xlabel="max_batch_size", ylabel=f"requests per second {what}")
    batches = sorted({*(batch for _, batch in best), *(e.config.max_batch_size for e in missed)})
    if batches:
        axes.set_xscale("log", base=2)
        axes.set_xticks(batches, list(map(str, batches)))
        axes.minorticks_off()
        axes.legend(fontsize=8)
    axes.margins(y=0.12)
    axes.set_ylim(bottom=0, auto=None)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_title("throughput by batch size and streams", fontsize=10)
    axes.grid(alpha=0.3, linewidth=0.5)


def _curve(axes: Any, report: Report) -> None:
    """Draw latency over the rate of open loads, where it counts from when a request was due."""
    from matplotlib.ticker import LogLocator

    points = [point for point in report.curve if isinstance(point.load, Open)]
    offered = [point.load.rate for point in points if isinstance(point.load, Open)]
    for name, colour, style in (("p99", COLOURS[1], "--"), ("p50", COLOURS[0], "-")):
        seen = [(r, getattr(p, name)) for r, p in zip(offered, points, strict=True)]
        seen = [(rate, value * 1e3) for rate, value in seen if value is not None]
        if seen:
            axes.plot(*zip(*seen, strict=True), style, marker="o", color=colour, label=name)
    if report.settings.p99 is not None:
        axes.axhline(report.settings.p99 * 1e3, color="#555555", ls=":", label="goal")
    full = [p for p in report.curve if not isinstance(p.load, Open) and p.load.concurrency > 1]
    if full and points:
        rate = full[-1].requests_per_second
        text = f"{full[-1].load.name}, closed loop"
        axes.axvline(rate, color="#555555", ls="-.", lw=1, label=text)
    axes.set(xlabel="requests per second offered", ylabel="latency, ms")
    rates(axes.xaxis)
    if points:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
        axes.set_xlim(left=0)
        axes.legend(fontsize=8)
    chosen: Config | None = report.recommended
    axes.set_title("nothing to recommend" if chosen is None else chosen.name, fontsize=10)
    axes.grid(alpha=0.3, which="both", linewidth=0.5)
