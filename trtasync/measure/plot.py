"""A plot of a report: latency over throughput, and the distribution of latencies."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trtasync.errors import BackendUnavailable, InvalidInput
from trtasync.measure.loads import Closed
from trtasync.measure.report import Point, Report
from trtasync.system.atomic_files import written_whole
from trtasync.words import shown

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
"""Colour-blind safe, by Okabe and Ito; lines also differ in style and marker."""

STYLES = ("-", "--", "-.", ":")
FAR_ABOVE = 2.5
"""A yardstick this many times above the highest rate is named but not drawn: it would compress
everything else."""

FOR_NAMES = 0.35
"""Share of the rates' axis that is left free beyond the last point, for its name."""

ENDINGS = (".png", ".svg", ".pdf")


def check_plot(path: Path) -> None:
    """Raise what `plot` would raise, before minutes are spent on measuring.

    Raises:
        BackendUnavailable: matplotlib is not installed.
        InvalidInput: the file type is not supported.
    """
    if path.suffix.lower() not in ENDINGS:
        raise InvalidInput(
            f"the name of a plot must end in {', '.join(ENDINGS)}, not {path.name!r}."
        )
    _figure()


def plot(report: Report, path: Path) -> None:
    """Draw the `report` into the file `path`. Raises the same as `check_plot`."""
    with picture(path, f"{report.model} on {report.backend}", report.about) as (left, right):
        points = [point for point in report.points if point.latency_curve]
        _curves(left, points, report)
        _distributions(right, points)


@contextmanager
def picture(
    path: Path, subject: str, about: Mapping[str, Any], note: str = ""
) -> Iterator[tuple[Any, Any]]:
    """Yield two axes side by side to draw on; afterwards the file is written.

    Args:
        path: the file.
        subject: what was measured; shown in the title with the machine.
        about: the report's facts on the machine.
        note: shown after the machine.

    Raises:
        BackendUnavailable, InvalidInput: see `check_plot`.
    """
    check_plot(path)
    figure = _figure()(figsize=(11, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    yield left, right
    hardware = about["hardware"]
    machine = ", ".join(hardware["gpus"]) or f"{hardware['cpu']}, {hardware['cores']} cores"
    head(figure, f"{subject}: {machine}{note}")
    save(figure, path)


def head(figure: Any, text: str) -> None:
    """Set a title of foreign text, in which a dollar sign does not start a formula."""
    figure.suptitle(shown(text), fontsize=10, parse_math=False)


def save(figure: Any, path: Path) -> None:
    """Write a figure in the format of the file's suffix, completely or not at all."""
    with written_whole(path) as file:
        figure.savefig(file, format=path.suffix[1:].lower(), dpi=130)


def rates(axis: Any) -> None:
    """Label an axis of requests per second, with no more ticks than fit beside each other."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(5))
    axis.set_major_formatter("{x:,.0f}")


def _figure() -> Any:
    """matplotlib's Figure, which draws without a display and leaves no global state."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BackendUnavailable(
            f"plots need matplotlib: pip install 'trtasync[plot]' ({error})."
        ) from error
    return Figure


def _curves(axes: Any, points: list[Point], report: Report) -> None:
    """Draw p50 and p99 over requests per second, with separate lines for closed and open loads."""
    for kind, marker, colours in (("closed", "o", COLOURS[:2]), ("open", "s", COLOURS[2:4])):
        chosen = [point for point in points if isinstance(point.load, Closed) == (kind == "closed")]
        found = [point.figures["requests_per_second"]["median"] for point in chosen]
        for percent, colour, style in zip((50, 99), colours, STYLES, strict=False):
            values = [point.figures[f"latency_p{percent}_us"]["median"] / 1e3 for point in chosen]
            if chosen:
                label = f"p{percent}, {kind} loop"
                axes.plot(found, values, style, marker=marker, color=colour, label=label)
        for point, rate in zip(chosen, found, strict=True):
            place = (rate, point.figures["latency_p50_us"]["median"] / 1e3)
            axes.annotate(
                point.load.name,
                place,
                (7, -3),
                textcoords="offset points",
                fontsize=7,
            )
    rows = int(report.parameters["rows"])
    most = max((p.figures["requests_per_second"]["median"] for p in points), default=0.0)
    furthest = most or 1.0
    for style, (name, rounds) in zip((":", "-."), report.yardsticks.items(), strict=False):
        rate = sorted(each["rows_per_second"] for each in rounds)[len(rounds) // 2] / rows
        where, seen = f"{name}: {rate:,.0f}/s", rate < FAR_ABOVE * most
        furthest = max(furthest, rate) if seen else furthest
        label = where if seen else f"{where}, far to the right"
        # a line without width would do, but matplotlib 3.10 refuses to draw its dashes
        shown_as = style if seen else "none"
        axes.axvline(rate if seen else 0.0, color="#555555", ls=shown_as, lw=1.0, label=label)
    axes.set(xlabel="requests per second", ylabel="latency, ms", yscale="log")
    axes.set_title("throughput and latency", fontsize=10)
    axes.margins(y=0.12)
    axes.set_xlim(0, furthest * (1 + FOR_NAMES))
    rates(axes.xaxis)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(alpha=0.3, which="both", linewidth=0.5)
    if points:
        # below, where it hides no point's name; matplotlib looks for room between lines only
        axes.legend(fontsize=8, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.13))


def _distributions(axes: Any, points: list[Point]) -> None:
    """Draw the share of requests that took longer, which shows a tail of one in 10 000."""
    for index, point in enumerate(points):
        quantiles, values = zip(*point.latency_curve, strict=True)
        axes.plot(
            [value / 1e3 for value in values],
            [max(1 - quantile, 1e-5) for quantile in quantiles],
            STYLES[index % len(STYLES)],
            color=COLOURS[index % len(COLOURS)],
            drawstyle="steps-post",
            label=point.load.name,
        )
    axes.set(
        xlabel="latency, ms",
        ylabel="share of requests that took longer",
        xscale="log",
        yscale="log",
        ylim=(1e-4, 1.1),
    )
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_title("latency distribution", fontsize=10)
    axes.grid(alpha=0.3, which="both", linewidth=0.5)
    if points:
        axes.legend(fontsize=8)
