"""The page."""

from importlib.resources import files
from itertools import pairwise

from trtasync import __version__
from trtasync.core.metrics import Statistics, StreamStatistics
from trtasync.server.dashboard.charts import curve, sizes
from trtasync.server.dashboard.figures import NOTHING, duration, number, share
from trtasync.server.dashboard.history import History, Recent
from trtasync.server.dashboard.markup import Markup, element
from trtasync.server.survey import Surveyed

STYLE: str = files(__package__).joinpath("style.css").read_text("utf-8")

READY = "ready"
"""The state of a server that is well."""

_STAGES = {
    "latency": "request",
    "queue": "waiting",
    "copy_in": "copying in",
    "compute": "computing",
    "copy_out": "copying out",
    "deliver": "handing out",
}
"""Times of `Statistics` that the page tells, and their names there."""


def page(surveyed: list[Surveyed], history: History, state: str, refresh: int) -> str:
    """The page as HTML.

    Args:
        surveyed: the models; the history has this look already.
        history: the looks at them.
        state: of the whole server, in a word or two; `READY` if all is well.
        refresh: seconds after which the browser asks again; 0 for never.
    """
    style = Markup(STYLE)
    again = [element("meta", http_equiv="refresh", content=refresh)] if refresh else []
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        *again,
        element("title", "trtasync"),
        element("style", style),
    )
    cards = [_card(each, history) for each in surveyed]
    none = [element("p", "This server has no models.", class_="card")]
    body = element("body", _top(state, refresh), element("main", *(cards or none)))
    return "<!DOCTYPE html>\n" + element("html", head, body, lang="en")


def _top(state: str, refresh: int) -> Markup:
    keep = element("a", "pause", href="?refresh=0")
    go_on = element("a", "resume", href="?refresh=2")
    return element(
        "header",
        element("h1", "trtasync ", element("small", __version__)),
        _badge(state, state == READY),
        element(
            "nav", f"refreshed every {refresh} s · " if refresh else "", keep if refresh else go_on
        ),
    )


def _badge(text: str, is_well: bool) -> Markup:
    return element("span", text, class_="badge well" if is_well else "badge ill")


def _card(model: Surveyed, history: History) -> Markup:
    batching = model.batching
    alone = [] if batching is None or batching.batched else [batching.reason]
    title = element(
        "h2",
        model.name,
        element("small", f"version {model.version}"),
        _badge(_state_of(model), model.computes),
        *(element("span", "runs alone", class_="badge") for _ in alone),
    )
    reason = [element("p", model.reason, class_="reason")] if model.reason else []
    why = [element("p", f"Every request runs alone: {each}.", class_="alone") for each in alone]
    told = [] if model.statistics is None else _figures(model, model.statistics, history)
    return element("section", title, *reason, *why, *told, class_="card")


def _state_of(model: Surveyed) -> str:
    if model.computes or model.state != "READY":
        return model.state.lower()
    return "does not answer" if model.statistics is None else "device lost"


def _figures(model: Surveyed, counted: Statistics, history: History) -> list[Markup]:
    recent = history.recent(model.name, model.version)
    looks = history.looks(model.name, model.version)
    steps = [
        (after.time, (after.counted.rows - before.counted.rows) / (after.time - before.time))
        for before, after in pairwise(looks)
    ]
    waiting = [(look.time, float(look.counted.queued)) for look in looks]
    charts = element(
        "div",
        curve("Rows per second", steps),
        curve("Rows waiting", waiting),
        sizes(recent.counted.batch_sizes),
        class_="charts",
    )
    tables = element("div", _times(recent.counted), _streams(recent), class_="tables")
    return [_tiles(recent), charts, tables, _totals(counted, recent)]


def _tiles(recent: Recent) -> Markup:
    counted = recent.counted
    rows = counted.rows / counted.batches if counted.batches else None
    lost = counted.failed + counted.rejected + counted.displaced + counted.expired
    told = {
        "requests/s": number(recent.rate(counted.answered)),
        "rows/s": number(recent.rate(counted.rows)),
        "latency, p50": duration(counted.latency.quantile(0.5)),
        "latency, p99": duration(counted.latency.quantile(0.99)),
        "rows waiting": number(counted.queued),
        "rows running": number(counted.in_flight),
        "rows in a batch": number(rows),
        "refused, failed, late": number(lost),
    }
    tiles = [
        element("div", element("dt", name), element("dd", value)) for name, value in told.items()
    ]
    return element("dl", *tiles, class_="tiles")


def _times(counted: Statistics) -> Markup:
    lines = []
    for field, name in _STAGES.items():
        times = getattr(counted, field)
        if times.count:
            told = times.mean, times.quantile(0.5), times.quantile(0.99)
            lines.append([name, *map(duration, told)])
    return _table("Time", ["mean", "p50", "p99"], lines)


def _streams(recent: Recent) -> Markup:
    lines = [
        [
            f"{stream.device}, {index}{'' if stream.alive else ': lost'}",
            number(recent.rate(stream.batches)),
            duration(stream.compute / stream.measured) if stream.measured else NOTHING,
            share(_busy(stream, recent.seconds)),
        ]
        for index, stream in enumerate(recent.counted.streams)
    ]
    return _table("Device, stream", ["batches/s", "computing", "busy"], lines)


def _busy(stream: StreamStatistics, seconds: float | None) -> float | None:
    """The part of the time in which a stream computed; batches that were not timed are taken to
    have computed as long as those that were."""
    if seconds is None or not stream.measured:
        return None
    return stream.compute / stream.measured * stream.batches / seconds


def _table(title: str, columns: list[str], lines: list[list[str]]) -> Markup:
    head = element("tr", *(element("th", column, scope="col") for column in [title, *columns]))
    body = [
        element("tr", element("th", name, scope="row"), *(element("td", text) for text in told))
        for name, *told in lines
    ]
    return element("table", element("thead", head), element("tbody", *body))


def _totals(counted: Statistics, recent: Recent) -> Markup:
    ends = ("answered", "failed", "cancelled", "rejected", "displaced", "expired")
    told = ", ".join(f"{number(getattr(counted, each))} {each}" for each in ends)
    seconds = recent.seconds
    since = "since it was opened" if seconds is None else f"of the last {seconds:.0f} s"
    text = f"Rates, times and sizes are those {since}. Requests in all: {told}."
    return element("p", text, class_="note")
