"""Progress of tuning as a bar or as lines, and its report as tables."""

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn

from trtasync.cli.bars import Bar, Doing, clock
from trtasync.cli.tables import add_row, new_table, say, show_table, written
from trtasync.measure.loads import Open
from trtasync.tune import CurvePoint, Report, Standing
from trtasync.tune import Progress as News
from trtasync.tune.probes import written_rate
from trtasync.tune.space import BUCKET_WORDS
from trtasync.words import shown

SHOWN = 12
"""Configurations shown in the table; the JSON has all."""

ENDED = {
    "settled": "",
    "budget": "Partial: the time (--minutes) was up before the search finished.",
    "interrupted": "Partial: the search was interrupted.",
}


class TuneBar(Bar):
    """The callback for `tune.run`: a bar in a terminal, otherwise a line per measurement.

    It draws between measurements only: drawing takes milliseconds of the loop that is measured.
    """

    def __init__(self, console: Console, shown: bool):
        """Make the bar, which says at first that the model is opened.

        Args:
            console: where to draw.
            shown: False draws nothing.
        """
        self._console = console
        self._shown = shown
        columns = (
            TextColumn("{task.fields[phase]}", markup=False),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}", markup=False),
            Doing(),
        )
        super().__init__(console, shown, *columns, refresh=False)
        self._task = self._progress.add_task(
            "opening the model", total=None, phase="opening", left=""
        )

    def __call__(self, news: News) -> None:
        """Draw an update."""
        best = "" if news.best is None else f"best {written_rate(news.score)}/s: {news.best.name}"
        left = f"{clock(news.left)} left" if news.left else ""
        if not self._console.is_terminal:
            self._print(news, left)
            return
        self._progress.update(
            self._task,
            completed=news.spent,
            total=(news.spent + news.left) or None,
            phase=news.phase,
            left=left,
            description=shown(f"{news.doing}{f' ({best})' if best else ''}"),
        )
        self._progress.refresh()

    def _print(self, news: News, left: str) -> None:
        if not self._shown:
            return
        if news.last:
            say(self._console, f"  {news.last}")
        about = f" ({left})" if left else ""
        say(self._console, f"{news.phase}: {news.doing}{about}")


def show(console: Console, report: Report) -> None:
    """Print a report."""
    hardware = report.subject.about["hardware"]
    machine = ", ".join(hardware["gpus"]) or f"{hardware['cpu']}, {hardware['cores']} cores"
    reused = f", {report.reused} of them taken from {report.state}" if report.reused else ""
    say(
        console,
        f"{report.subject.name} on {report.subject.backend}, {machine}; "
        f"{len(report.results)} measurements in {clock(report.spent)}{reused}",
        fold=True,
    )
    _configurations(console, report)
    if report.recommended is not None:
        _curve(console, report)
    verdict = report.verdict
    if verdict.recommended is not None:
        say(console, f"Recommended: {verdict.recommended.config.name}. {verdict.why}", fold=True)
    if ended := ENDED[report.ended]:
        say(console, ended, fold=True)
    if report.call:
        console.print()
        for line in report.call.split("\n"):
            say(console, line)


def _configurations(console: Console, report: Report) -> None:
    """The best first."""
    space, goal = report.subject.space, report.settings.p99
    extra = {
        "graphs": len(space.graphs) > 1,
        "threads": len(space.threads) > 1,
    }
    names = [name for name, wanted in extra.items() if wanted]
    table = new_table(console, "streams", "batch", "sizes", *names, "requests/s", "p99 ms")
    tied = {each.config for each in report.verdict.tied}
    standings = report.verdict.standings
    failed = [each for each in standings if each.failure]
    for each in [each for each in standings if not each.failure][:SHOWN]:
        chosen = each.config == report.recommended
        mark = "*" if chosen else "=" if each.config in tied else " "
        config = each.config
        more = {
            "graphs": "on" if config.graphs else "off",
            "threads": str(config.threads or max(1, space.cores // config.streams)),
        }
        add_row(
            table,
            f"{mark} {config.streams}",
            str(config.max_batch_size),
            BUCKET_WORDS[config.buckets],
            *(more[name] for name in names),
            _score(each),
            "-" if each.p99 is None else milliseconds(each.p99),
            style="bold" if chosen else None,
        )
    show_table(console, table)
    notes = ["* recommended"]
    if len(tied) > 1:
        notes.append("= the same, give or take")
    if goal is not None:
        notes.append(f"rates are the highest with a p99 of at most {goal * 1e3:g} ms")
    hidden = len(standings) - len(failed) - SHOWN
    if hidden > 0:
        notes.append(f"{hidden} more in the JSON")
    if report.recommended is not None:
        say(console, "; ".join(notes))
    for each in failed:
        say(console, f"failed: {each.config.name}: {each.failure}")


def _score(each: Standing) -> str:
    if each.score is None:
        return "-" if each.below is None else f"below {written_rate(each.below)}"
    if len(set(each.samples)) > 1:
        low, high = min(each.samples), max(each.samples)
        return f"{written_rate(each.score)} ({written_rate(low)} .. {written_rate(high)})"
    return written_rate(each.score)


def _curve(console: Console, report: Report) -> None:
    table = new_table(console, "its curve", "requests/s", "p50 ms", "p99 ms", "batch", "looks")
    for point in report.curve:
        add_row(
            table,
            _load(point),
            written_rate(point.requests_per_second),
            milliseconds(point.p50),
            milliseconds(point.p99),
            "-" if point.batch_mean is None else f"{point.batch_mean:.3g}",
            str(point.measured),
        )
    show_table(console, table)


def _load(point: CurvePoint) -> str:
    kind = "offered" if isinstance(point.load, Open) else "waiting"
    return f"{point.load.name} {kind}"


def milliseconds(seconds: float | None) -> str:
    """A latency in milliseconds; "-" if there is none."""
    return "-" if seconds is None else written(seconds * 1e3)
