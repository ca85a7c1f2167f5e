"""A benchmark's progress as a bar, and its report as tables."""

from collections.abc import Callable, Mapping

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TimeElapsedColumn

from trtasync.cli.bars import Bar, Doing, Left
from trtasync.cli.tables import add_row, bar, new_table, say, show_table, written
from trtasync.measure import Point, Report
from trtasync.measure import Progress as News
from trtasync.measure.samples import STAGES
from trtasync.words import shown

WIDEST = 30
"""Characters of the longest bar of a histogram."""

LATE = 1000.0
"""Requests that are sent later than this (µs) are worth a note."""

HEADS = ("queue", "stage", "H2D", "compute", "D2H", "deliver")


class SampleBar(Bar):
    """The callback for `run`.

    It draws between samples only: drawing takes milliseconds of the loop that is measured.
    """

    def __init__(self, console: Console, shown: bool):
        """Make the bar, which says at first that the model is opened.

        Args:
            console: where to draw.
            shown: False draws nothing.
        """
        columns = (
            Doing(),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            Left(),
        )
        super().__init__(console, shown, *columns, refresh=False)
        self._task = self._progress.add_task("opening the model", total=None)

    def __call__(self, news: News) -> None:
        """Draw an update."""
        rate = "" if news.rate is None else f" (before: {news.rate:,.0f}/s)"
        if not news.step:
            self._progress.reset(self._task)  # the time left follows from samples, not from opening
        self._progress.update(
            self._task,
            completed=news.step,
            total=news.steps,
            description=shown(f"{news.doing}{rate}"),
        )
        self._progress.refresh()


def show(console: Console, report: Report) -> None:
    """Print a report."""
    say(console, _head(report), fold=True)
    points = report.points
    _throughput(console, report, points)
    _latencies(console, points)
    if any(point.batch_sizes for point in points):
        _stages(console, points)
        _histograms(console, points)
    _yardsticks(console, report)
    _notes(console, points)
    if report.ended == "interrupted":
        say(console, "Partial: the benchmark was interrupted.", fold=True)


def _head(report: Report) -> str:
    asked = report.parameters
    engine = ""
    if "streams" in asked:
        engine = f"{asked['streams']} stream(s), batches of at most {asked['largest_batch']}, "
    return (
        f"{report.model} on {report.backend}, {_machine(report)}; {asked['loop']}, {engine}"
        f"{asked['rows']} row(s) a request; {asked['rounds']} x {asked['seconds']:g} s, medians"
    )


def _machine(report: Report) -> str:
    hardware = report.about["hardware"]
    return ", ".join(hardware["gpus"]) or f"{hardware['cpu']}, {hardware['cores']} cores"


def _throughput(console: Console, report: Report, points: list[Point]) -> None:
    columns: dict[str, Callable[[Point], str]] = {
        "requests/s": lambda point: _rate(point, "requests_per_second"),
    }
    if report.parameters["rows"] > 1:
        columns["rows/s"] = lambda point: _rate(point, "rows_per_second")
    columns["CPU us each"] = lambda point: _number(point, "cpu_us")
    if "streams" in report.parameters:
        columns["busy"] = lambda point: _share(point, "busy_share")
    for name, ratios in report.ratios.items():
        columns[f"of {name}"] = lambda point, found=ratios: (  # type: ignore[misc]
            f"{found[point.load.name]['median']:.3f}"
        )
    _show_points(console, "load", columns, points)


def _latencies(console: Console, points: list[Point]) -> None:
    columns: dict[str, Callable[[Point], str]] = {
        head: lambda point, head=head: _time(point, f"latency_{head}_us")  # type: ignore[misc]
        for head in ("p50", "p90", "p95", "p99", "max")
    }
    columns["loop delay p99"] = lambda point: _time(point, "loop_delay_p99_us")
    _show_points(console, "latency in ms", columns, points)


def _show_points(
    console: Console, title: str, columns: Mapping[str, Callable[[Point], str]], points: list[Point]
) -> None:
    """A line per load."""
    table = new_table(console, title, *columns)
    for point in points:
        add_row(table, point.load.name, *(cell(point) for cell in columns.values()))
    show_table(console, table)


def _stages(console: Console, points: list[Point]) -> None:
    table = new_table(console, "us by stage", *HEADS, "rows", "padded")
    for point in points:
        add_row(
            table,
            point.load.name,
            *(_stage(point, f"{stage}_us") for stage in STAGES),
            _number(point, "batch_mean"),
            _share(point, "padded_share"),
        )
    show_table(console, table)


def _histograms(console: Console, points: list[Point]) -> None:
    table = new_table(console, "batches by rows", "rows", "batches")
    table.add_column("", overflow="crop")  # the figures stand beside it
    for point in points:
        most = max(point.batch_sizes.values(), default=1)
        for line, (size, count) in enumerate(_largest(point.batch_sizes)):
            name = point.load.name if line == 0 else ""
            length = max(1, round(count / most * WIDEST))
            add_row(table, name, size, f"{count:,}", bar(console, length))
    show_table(console, table)


def _largest(sizes: Mapping[int, int], shown: int = 8) -> list[tuple[str, int]]:
    """The most frequent sizes in ascending order, and one line for all others."""
    chosen = sorted(sorted(sizes, key=lambda size: -sizes[size])[:shown])
    lines = [(str(size), sizes[size]) for size in chosen]
    if rest := sum(count for size, count in sizes.items() if size not in chosen):
        lines.append(("other", rest))
    return lines


def _yardsticks(console: Console, report: Report) -> None:
    if report.yardsticks:
        console.print()
    for name, figures in report.to_json()["yardsticks"].items():
        rate = figures["figures"]["rows_per_second"]
        text = f"{name}: {rate['median']:,.0f} rows/s ({rate['min']:,.0f} .. {rate['max']:,.0f})"
        say(console, f"{text}, {_ABOUT[name]}", fold=True)


_ABOUT = {
    "ceiling": "full batches back to back on the same streams, slots filled once, without callers.",
    "trtexec": "its algorithm in this process: an upper bound, because it reuses its inputs and "
    "cannot serve requests.",
}


def _notes(console: Console, points: list[Point]) -> None:
    words = {"refused": "refused (QueueFull)", "failed": "failed", "missed": "missed the deadline"}
    for point in points:
        lost = [
            f"{figure['max']:,.0f} {text}"
            for name, text in words.items()
            if (figure := point.figures[name])["max"]
        ]
        late = point.figures.get("late_p99_us")
        if late is not None and late["median"] > LATE:
            lost.append(
                f"the load itself was {late['median'] / 1e3:,.1f} ms late (p99): the event loop "
                "was too busy to send requests"
            )
        if lost:
            say(console, f"{point.load.name}: in a round {', '.join(lost)}", fold=True)


def _rate(point: Point, name: str) -> str:
    figure = point.figures[name]
    spread = f" ({figure['min']:,.0f} .. {figure['max']:,.0f})"
    return f"{figure['median']:,.0f}{spread if figure['min'] != figure['max'] else ''}"


def _time(point: Point, name: str) -> str:
    value = point.median(name)
    return "-" if value is None else written(value / 1e3)


def _number(point: Point, name: str) -> str:
    value = point.median(name)
    return "-" if value is None else written(value)


def _stage(point: Point, name: str) -> str:
    """Microseconds; with a larger unit where the number would be too wide."""
    value = point.median(name)
    if value is None or value < 1e5:
        return _number(point, name)
    return f"{value / 1e3:.0f}ms" if value < 1e6 else f"{value / 1e6:.3g}s"


def _share(point: Point, name: str) -> str:
    value = point.median(name)
    return "-" if value is None else f"{value:.0%}"
