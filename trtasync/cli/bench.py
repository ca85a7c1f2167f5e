"""`trtasync bench`."""

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from trtasync.cli.arguments import (
    LOOP_HELP,
    NUMBERS,
    OUT,
    TIME,
    AsJson,
    Debug,
    LoopName,
    ModelArgument,
    Picture,
    Quiet,
    Rows,
    RowShapes,
    Samples,
    Seed,
)
from trtasync.cli.bench_tables import SampleBar, show
from trtasync.cli.engine_flags import EngineFlags, takes_engine_flags
from trtasync.cli.failures import INTERRUPTED, failures, stop, until_interrupted
from trtasync.cli.outputs import STDOUT, check_outputs, check_picture, deliver
from trtasync.errors import BackendUnavailable, InvalidInput
from trtasync.measure import Benchmark, Closed, Inputs, Load, Open, Recorder, Report, Settings, plot
from trtasync.measure.inputs import read_shapes
from trtasync.measure.loads import (
    DEFAULT_CONCURRENCY,
    read_concurrency,
    read_rates,
    read_seconds,
)
from trtasync.measure.targets import Subject

LOAD = "Load"


_OF_REMOTE = {
    *(
        "model",
        "url",
        "token_file",
        "concurrency",
        "rate",
        "arrivals",
        "seconds",
        "warm_up",
        "rounds",
    ),
    *("deadline", "loop", "rows", "shape", "samples", "seed"),
    *("as_json", "picture", "quiet", "debug"),
}
"""Parameters that mean something for a model on a server; the others say how one is opened here."""


@takes_engine_flags
def bench(
    *,
    context: typer.Context,
    model: ModelArgument,
    concurrency: Annotated[
        str | None,
        typer.Option(
            "--concurrency",
            "-c",
            metavar=NUMBERS,
            help="Closed loop: number of callers, each of which waits for its answer before it "
            "asks again, e.g. 1,8,64,256 (the default without --rate).",
            rich_help_panel=LOAD,
        ),
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option(
            metavar="<rates>",
            help="Open loop: requests per second, e.g. 1000,2000, or percentages of the capacity "
            "measured by the closed loop: 50%,90%. Latency counts from when a request was due.",
            rich_help_panel=LOAD,
        ),
    ] = None,
    arrivals: Annotated[
        Literal["poisson", "constant"],
        typer.Option(
            help="How the requests of an open loop come: at random, or evenly.",
            rich_help_panel=LOAD,
        ),
    ] = "poisson",
    seconds: Annotated[
        float, typer.Option(help="Measuring time per load and round.", rich_help_panel=LOAD)
    ] = 2.0,
    warm_up: Annotated[
        float, typer.Option(help="Seconds of the same load before measuring.", rich_help_panel=LOAD)
    ] = 0.5,
    rounds: Annotated[
        int, typer.Option(help="Interleaved rounds: samples of each load.", rich_help_panel=LOAD)
    ] = 3,
    deadline: Annotated[
        str | None,
        typer.Option(
            metavar=TIME,
            help="Time after which callers give up, e.g. 20ms.",
            rich_help_panel=LOAD,
        ),
    ] = None,
    loop: Annotated[LoopName, typer.Option(help=LOOP_HELP, rich_help_panel=LOAD)] = "asyncio",
    url: Annotated[
        str | None,
        typer.Option(
            metavar="<url>",
            help="Measure a server of the Open Inference Protocol (ours, Triton) from here: "
            "http://HOST:PORT, https, grpc or grpcs. MODEL is the name of its model.",
            rich_help_panel=LOAD,
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="Show the server of --url the first token in this file: one a line, as `serve` "
            "takes them.",
            rich_help_panel=LOAD,
        ),
    ] = None,
    rows: Rows = 1,
    shape: RowShapes = None,
    samples: Samples = None,
    seed: Seed = 0,
    engine: EngineFlags,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare",
            help="Measure the ceiling and, on a GPU, trtexec's algorithm in the same run.",
            rich_help_panel=OUT,
        ),
    ] = False,
    as_json: AsJson = None,
    picture: Picture = None,
    trace: Annotated[
        Path | None,
        typer.Option(
            help="File for a timeline of the last load, for Perfetto.", rich_help_panel=OUT
        ),
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Measure a model's throughput and latency under load."""
    with failures(debug):
        settings = Settings(
            loads=_loads(concurrency, rate, arrivals),
            seconds=seconds,
            warm_up=warm_up,
            rounds=rounds,
            inputs=Inputs(rows, read_shapes(shape or []), samples, seed),
            deadline=None if deadline is None else read_seconds(deadline, "--deadline"),
            loop=loop,
            compare=compare,
            trace=None if trace is None else Recorder(),
        )
        options = engine.options()
        check_outputs(None if url else model, as_json, picture, trace, inputs=(samples,))
        check_picture(picture)
        subject: Path | Subject = model
        if url is not None:
            _demand_remote(context)
            subject, options = _remote(url, str(model), token_file), {}
        elif token_file is not None:
            raise InvalidInput("--token-file is for the server of --url: give both, or neither.")
        with SampleBar(Console(stderr=True), not quiet and as_json != STDOUT) as bar:
            work = Benchmark(subject, settings, progress=bar, **options)
            report, interrupted = until_interrupted(work)
        _write(report, settings, as_json, picture, trace)
        if interrupted:
            stop(INTERRUPTED, "interrupted; these are the measurements so far.")


def _demand_remote(context: typer.Context) -> None:
    """Raise InvalidInput if an option is given that says how an engine is opened here."""
    given = sorted(
        each.opts[0]
        for each in context.command.params
        if each.name not in _OF_REMOTE and _is_given(context, str(each.name))
    )
    if given:
        raise InvalidInput(
            f"the server of --url has opened the model itself: leave {', '.join(given)} out."
        )


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _remote(url: str, model: str, token_file: Path | None) -> Subject:
    try:
        from trtasync.server.remote.subject import Remote
        from trtasync.server.tokens import read_tokens
    except ModuleNotFoundError as error:
        raise BackendUnavailable(
            f"--url needs pip install 'trtasync[server]' ({error})."
        ) from error
    token = "" if token_file is None else read_tokens(str(token_file))[0].decode()
    return Remote(url, model, token)


def _loads(
    concurrency: str | None, rate: str | None, arrivals: Literal["poisson", "constant"]
) -> list[Load]:
    """The loads to apply. Relative rates alone bring the largest closed loop along as a measure."""
    open_loads: list[Open] = read_rates(rate, arrivals) if rate else []
    closed: list[Closed] = read_concurrency(concurrency) if concurrency else []
    if not closed and not open_loads:
        closed = [Closed(number) for number in DEFAULT_CONCURRENCY]
    elif not closed and any(load.relative for load in open_loads):
        closed = [Closed(DEFAULT_CONCURRENCY[-1])]
    return [*closed, *open_loads]


def _write(
    report: Report,
    settings: Settings,
    as_json: str | None,
    picture: Path | None,
    trace: Path | None,
) -> None:
    files = []
    if picture is not None:
        files.append(partial(plot, report, picture))
    if trace is not None and settings.trace is not None and report.ended == "complete":
        files.append(partial(settings.trace.write, trace))
    deliver(report.dumps(), as_json, partial(show, report=report), *files)
