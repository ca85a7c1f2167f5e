"""`trtasync tune`."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer
from rich.console import Console

from trtasync.bench import Inputs
from trtasync.bench.inputs import read_shapes
from trtasync.bench.loads import read_numbers, read_seconds
from trtasync.bench.plot import check as check_plot
from trtasync.cli.failures import GOAL_MISSED, INTERRUPTED, MODEL, failures, stop
from trtasync.cli.tune_tables import TuneBar, show
from trtasync.errors import InvalidInput
from trtasync.tune import Report, Settings, Tuning, plot
from trtasync.tune.space import BUCKETS, Buckets

T = TypeVar("T")

GOAL, SPACE, REQUESTS = "What is looked for", "What there is to choose from", "The requests"
ENGINE, STATE, OUT = "The engine", "An interrupted run goes on", "What comes out"


def tune(
    model: Annotated[Path, typer.Argument(help="An .onnx, .plan or .engine file.")],
    p99: Annotated[
        str | None,
        typer.Option(
            help="The highest rate whose 99th percentile is within this, e.g. 20ms; the best "
            "throughput without it.",
            rich_help_panel=GOAL,
        ),
    ] = None,
    minutes: Annotated[
        float, typer.Option(help="Of measuring, at most.", rich_help_panel=GOAL)
    ] = 3.0,
    budget: Annotated[
        str | None,
        typer.Option(help="The same as a time, e.g. 90s.", rich_help_panel=GOAL),
    ] = None,
    seconds: Annotated[
        float, typer.Option(help="Of each measurement.", rich_help_panel=GOAL)
    ] = 1.0,
    warm_up: Annotated[
        float, typer.Option(help="Seconds of the same load before.", rich_help_panel=GOAL)
    ] = 0.3,
    rounds: Annotated[
        int, typer.Option(help="Of the finals, interleaved.", rich_help_panel=GOAL)
    ] = 3,
    loop: Annotated[
        Literal["asyncio", "uvloop", "trio"], typer.Option(rich_help_panel=GOAL)
    ] = "asyncio",
    streams: Annotated[str | None, typer.Option(help="E.g. 1,2,3.", rich_help_panel=SPACE)] = None,
    max_batch: Annotated[str | None, typer.Option(help="E.g. 8,32.", rich_help_panel=SPACE)] = None,
    buckets: Annotated[
        str | None,
        typer.Option(
            help="Which batch sizes run: any, powers (of two), coarse (every other power), full "
            "(the largest only).",
            rich_help_panel=SPACE,
        ),
    ] = None,
    graphs: Annotated[
        str | None, typer.Option(help="CUDA graphs: on,off or one.", rich_help_panel=SPACE)
    ] = None,
    threads: Annotated[
        str | None, typer.Option(help="CPU threads per run, e.g. 1,2.", rich_help_panel=SPACE)
    ] = None,
    rows: Annotated[int, typer.Option(help="Per request.", rich_help_panel=REQUESTS)] = 1,
    shape: Annotated[
        list[str] | None,
        typer.Option(
            help="For dynamic axes, e.g. x:1x3x224x224; may be given several times.",
            rich_help_panel=REQUESTS,
        ),
    ] = None,
    input_file: Annotated[
        Path | None,
        typer.Option(
            "--input",
            help="An .npz with an array of rows per input; random numbers without it.",
            rich_help_panel=REQUESTS,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of random numbers.", rich_help_panel=REQUESTS)] = 0,
    backend: Annotated[
        Literal["auto", "tensorrt", "onnxruntime"], typer.Option(rich_help_panel=ENGINE)
    ] = "auto",
    devices: Annotated[
        str | None, typer.Option(help="GPU indices, e.g. 0,1.", rich_help_panel=ENGINE)
    ] = None,
    profile: Annotated[
        list[str] | None,
        typer.Option(
            help="How an .onnx file is built on a GPU, as in `trtasync build`.",
            rich_help_panel=ENGINE,
        ),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            help="Where measurements are kept; in the user's cache folder by default.",
            rich_help_panel=STATE,
        ),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget what was kept.", rich_help_panel=STATE)
    ] = False,
    as_json: Annotated[
        str | None,
        typer.Option("--json", help="Write everything here; - prints it.", rich_help_panel=OUT),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option("--plot", help="Curves, as .png, .svg or .pdf.", rich_help_panel=OUT),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Find the streams, batch sizes and graphs that suit a model, by measuring for minutes."""
    with failures(debug):
        settings = Settings(
            p99=None if p99 is None else read_seconds(p99, "--p99"),
            budget=minutes * 60 if budget is None else read_seconds(budget, "--budget"),
            seconds=seconds,
            warm_up=warm_up,
            rounds=rounds,
            inputs=Inputs(rows, read_shapes(shape or []), input_file, seed),
            loop=loop,
            streams=_whole(streams, "--streams"),
            max_batch_size=_whole(max_batch, "--max-batch"),
            buckets=None if buckets is None else _words(buckets, "--buckets", _BUCKETS),
            graphs=None if graphs is None else _words(graphs, "--graphs", _SWITCH),
            threads=_whole(threads, "--threads"),
            state=True if state is None else state,
            fresh=fresh,
        )
        options: dict[str, Any] = {
            "backend": None if backend == "auto" else backend,
            "devices": None if devices is None else read_numbers(devices, "--devices", int),
            "profiles": profile,
        }
        given = {name: value for name, value in options.items() if value}
        _check_files(as_json, picture)
        with TuneBar(Console(stderr=True), not quiet and as_json != "-") as bar:
            tuning = Tuning(model, settings, progress=bar, **given)
            report, interrupted = _run(tuning)
        _write(report, as_json, picture)
        _end(report, interrupted, fresh)


_SWITCH = {"on": True, "off": False}
_BUCKETS: dict[str, Buckets] = {name: name for name in BUCKETS}


def _whole(text: str | None, option: str) -> list[int] | None:
    return None if text is None else read_numbers(text, option, int)


def _words(text: str, option: str, known: dict[str, T]) -> list[T]:
    """Words separated by commas."""
    parts = [part.strip() for part in text.split(",")]
    if unknown := [part for part in parts if part not in known]:
        raise InvalidInput(f"{option} takes {', '.join(known)}, not {unknown[0]!r}.")
    return [known[part] for part in parts]


def _check_files(as_json: str | None, picture: Path | None) -> None:
    """Before minutes are spent on what could not be kept."""
    files = [Path(as_json)] if as_json and as_json != "-" else []
    for file in [*files, *filter(None, (picture,))]:
        if not file.absolute().parent.is_dir():
            raise InvalidInput(f"there is no folder {file.absolute().parent} to write {file} to.")
    if picture is not None:
        check_plot(picture)


def _run(tuning: Tuning) -> tuple[Report, bool]:
    """(the report, whether Ctrl-C ended it)."""
    try:
        return tuning.run(), False
    except KeyboardInterrupt:
        report = tuning.report()
        if report is None:
            raise
        return report, True


def _write(report: Report, as_json: str | None, picture: Path | None) -> None:
    if as_json == "-":
        sys.stdout.write(report.dumps() + "\n")
    else:
        show(Console(), report)
        if as_json:
            Path(as_json).write_text(report.dumps() + "\n")
    if picture is not None:
        plot(report, picture)


def _end(report: Report, interrupted: bool, fresh: bool) -> None:
    """The exit code, with a line on stderr unless all is well."""
    if interrupted:
        again = f"run the same command again{' without --fresh' if fresh else ''} to go on."
        stop(INTERRUPTED, f"interrupted; {again if report.state else 'nothing was kept.'}")
    if report.recommended is None:
        goal = report.verdict.nearest is not None
        stop(GOAL_MISSED if goal else MODEL, report.verdict.why)
