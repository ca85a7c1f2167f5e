"""`trtasync tune`."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from trtasync.cli.arguments import (
    LOOP_HELP,
    NUMBERS,
    TIME,
    AsJson,
    BackendOption,
    BatchAxes,
    BatchingOption,
    CacheFolder,
    CacheOwner,
    Debug,
    Devices,
    LoopName,
    MaxRowBytes,
    ModelArgument,
    Picture,
    ProfileOptions,
    Quiet,
    Rows,
    RowShapes,
    RunTimeout,
    Samples,
    Seed,
    cache_of,
    read_batch_axes,
    read_batching,
    read_devices,
    read_limits,
)
from trtasync.cli.failures import (
    GOAL_MISSED,
    INTERRUPTED,
    MODEL,
    failures,
    stop,
    until_interrupted,
)
from trtasync.cli.outputs import STDOUT, check_outputs, check_picture, deliver
from trtasync.cli.tune_tables import TuneBar, show
from trtasync.errors import InvalidInput
from trtasync.measure import Inputs
from trtasync.measure.inputs import read_shapes
from trtasync.measure.loads import read_numbers, read_seconds
from trtasync.tune import Report, Settings, Tuning, plot
from trtasync.tune.space import BUCKETS, Buckets

T = TypeVar("T")

GOAL, SPACE = "Goal and budget", "Search space"
STATE = "Resuming"


def tune(
    model: ModelArgument,
    p99: Annotated[
        str | None,
        typer.Option(
            metavar=TIME,
            help="Look for the highest rate with a 99th percentile below this, e.g. 20ms; "
            "default: look for the best throughput.",
            rich_help_panel=GOAL,
        ),
    ] = None,
    minutes: Annotated[
        float, typer.Option(help="Time limit of the whole search.", rich_help_panel=GOAL)
    ] = 3.0,
    seconds: Annotated[
        float, typer.Option(help="Length of each measurement.", rich_help_panel=GOAL)
    ] = 1.0,
    warm_up: Annotated[
        float, typer.Option(help="Seconds of the same load before measuring.", rich_help_panel=GOAL)
    ] = 0.3,
    rounds: Annotated[
        int, typer.Option(help="Interleaved rounds of the finals.", rich_help_panel=GOAL)
    ] = 3,
    loop: Annotated[LoopName, typer.Option(help=LOOP_HELP, rich_help_panel=GOAL)] = "asyncio",
    streams: Annotated[
        str | None,
        typer.Option(
            metavar=NUMBERS, help="Numbers of streams to try, e.g. 1,2,3.", rich_help_panel=SPACE
        ),
    ] = None,
    max_batch_size: Annotated[
        str | None,
        typer.Option(
            metavar=NUMBERS, help="Largest batches to try, e.g. 8,32.", rich_help_panel=SPACE
        ),
    ] = None,
    batch_sizes: Annotated[
        str | None,
        typer.Option(
            metavar="<names>",
            help="Sets of batch sizes to try: any, powers (of two), coarse (every other power), "
            "full (the largest only).",
            rich_help_panel=SPACE,
        ),
    ] = None,
    graphs: Annotated[
        str | None,
        typer.Option(
            metavar="<on|off>", help="CUDA graphs to try: on, off or on,off.", rich_help_panel=SPACE
        ),
    ] = None,
    threads: Annotated[
        str | None,
        typer.Option(
            metavar=NUMBERS, help="CPU threads per run to try, e.g. 1,2.", rich_help_panel=SPACE
        ),
    ] = None,
    rows: Rows = 1,
    shape: RowShapes = None,
    samples: Samples = None,
    seed: Seed = 0,
    backend: BackendOption = "auto",
    devices: Devices = None,
    batching: BatchingOption = "auto",
    batch_axis: BatchAxes = None,
    max_row_bytes: MaxRowBytes = None,
    run_timeout: RunTimeout = None,
    profile: ProfileOptions = None,
    cache_dir: CacheFolder = None,
    cache_owner: CacheOwner = None,
    state: Annotated[
        Path | None,
        typer.Option(
            help="File that keeps the measurements. Default: in the user's cache folder.",
            rich_help_panel=STATE,
        ),
    ] = None,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh", help="Discard the measurements that were kept.", rich_help_panel=STATE
        ),
    ] = False,
    as_json: AsJson = None,
    picture: Picture = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Find the best streams, batch sizes and CUDA graphs for a model by measuring for minutes."""
    with failures(debug):
        settings = Settings(
            p99=None if p99 is None else read_seconds(p99, "--p99"),
            budget=minutes * 60,
            seconds=seconds,
            warm_up=warm_up,
            rounds=rounds,
            inputs=Inputs(rows, read_shapes(shape or []), samples, seed),
            loop=loop,
            streams=_whole(streams, "--streams"),
            max_batch_size=_whole(max_batch_size, "--max-batch-size"),
            buckets=None if batch_sizes is None else _words(batch_sizes, "--batch-sizes", _BUCKETS),
            graphs=None if graphs is None else _words(graphs, "--graphs", _SWITCH),
            threads=_whole(threads, "--threads"),
            state=True if state is None else state,
            fresh=fresh,
        )
        options: dict[str, Any] = {
            "backend": None if backend == "auto" else backend,
            "devices": read_devices(devices),
            "profiles": profile or None,
            "batching": None if batching == "auto" else read_batching(batching),
            "batch_axes": read_batch_axes(batch_axis) or None,
            **read_limits(run_timeout, max_row_bytes),
            "cache": None if (cache := cache_of(cache_dir, cache_owner)) is True else cache,
        }
        given = {name: value for name, value in options.items() if value is not None}
        check_outputs(model, as_json, picture, inputs=(samples,), kept=state)
        check_picture(picture)
        with TuneBar(Console(stderr=True), not quiet and as_json != STDOUT) as bar:
            tuning = Tuning(model, settings, progress=bar, **given)
            report, interrupted = until_interrupted(tuning)
        _write(report, as_json, picture)
        _end(report, interrupted, fresh)


_SWITCH = {"on": True, "off": False}
_BUCKETS: dict[str, Buckets] = {name: name for name in BUCKETS}


def _whole(text: str | None, option: str) -> list[int] | None:
    return None if text is None else read_numbers(text, option, int)


def _words(text: str, option: str, known: dict[str, T]) -> list[T]:
    """Parse words separated by commas."""
    parts = [part.strip() for part in text.split(",")]
    if unknown := [part for part in parts if part not in known]:
        raise InvalidInput(f"{option} takes {', '.join(known)}, not {unknown[0]!r}.")
    return [known[part] for part in parts]


def _write(report: Report, as_json: str | None, picture: Path | None) -> None:
    files = [] if picture is None else [partial(plot, report, picture)]
    deliver(report.dumps(), as_json, partial(show, report=report), *files)


def _end(report: Report, interrupted: bool, fresh: bool) -> None:
    """The exit code, with a line on stderr unless all is well."""
    if interrupted:
        again = f"run the same command again{' without --fresh' if fresh else ''} to resume."
        stop(INTERRUPTED, f"interrupted; {again if report.state else 'nothing was kept.'}")
    if report.recommended is None:
        goal = report.verdict.nearest is not None
        stop(GOAL_MISSED if goal else MODEL, report.verdict.why)
