"""The engine at work on this machine's CPU: `make demo`, or `python -m examples.demo`.

Reads 500 lines of handwritten digits one by one, with 64 tasks at once, and with 64 tasks and
padded widths; then asks a large random MLP, one by one and with 64 tasks. Every answer is compared,
bit for bit, with that of a plain ONNX Runtime session which ran the request alone: one difference,
and the exit status is 1.
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import anyio
import numpy as np
import numpy.typing as npt
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

import trtasync
from examples.digit_lines import Line, decode, edit_distance, lines, picture
from trtasync import Cut, Pad

HERE = Path(__file__).parent
MODELS = HERE / "models"
CACHE = HERE / ".cache"

CALLERS = 64
LINE_OPTIONS: Mapping[str, Any] = {"threads": 1, "max_batch_size": 16}
MLP_OPTIONS: Mapping[str, Any] = {"max_batch_size": 32}
WIDTHS = Pad(axis=3, multiple_of=32, outputs={"probs": Cut(axis=1, length=lambda w: w - 7)})
SHOWN = 5
SIZE_CLASSES = ((1, 1), (2, 2), (3, 4), (5, 8), (9, 16), (17, 32))

Array = npt.NDArray[Any]
Opener = Callable[[], AbstractAsyncContextManager[trtasync.Engine]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to put the same requests to an engine.

    Attributes:
        name: as the tables call it.
        open: opens the engine.
        requests: what is asked, over and over.
        expected: per request, what the model answers to it alone.
        callers: tasks that ask at the same time.
        burst: requests between two checks; the clock stands still while answers are compared.
    """

    name: str
    open: Opener
    requests: Sequence[Any]
    expected: Sequence[Array]
    callers: int
    burst: int


@dataclass(slots=True)
class Measured:
    """What came out of one way.

    Attributes:
        seconds: on the clock.
        latencies: of every request, in seconds.
        different: answers that are not what the model says alone.
        answers: the latest one of every request.
        sizes: rows in a batch -> how often.
    """

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    different: int = 0
    answers: dict[int, Array] = field(default_factory=dict)
    sizes: Counter[int] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Requests per second."""
        return len(self.latencies) / self.seconds

    @property
    def mean_size(self) -> float:
        """Rows per batch."""
        rows = sum(size * times for size, times in self.sizes.items())
        return rows / max(1, self.sizes.total())

    def quantile(self, q: float) -> float:
        """Of the latencies, in milliseconds."""
        return float(np.quantile(self.latencies, q)) * 1000


async def measure(way: Way, seconds: float, tick: Callable[[float], None]) -> Measured:
    """Put the requests of a way to its engine for `seconds`, after a warm-up."""
    measured = Measured()
    async with way.open() as engine:
        await _burst(engine, way, Measured())  # every shape is met once, the costs are learned
        before = Counter(engine.statistics().batch_sizes)
        while measured.seconds < seconds:
            await _burst(engine, way, measured)
            tick(min(1.0, measured.seconds / seconds))
        measured.sizes = Counter(engine.statistics().batch_sizes)
        measured.sizes.subtract(before)
    return measured


async def _burst(engine: trtasync.Engine, way: Way, measured: Measured) -> None:
    count = len(way.requests)
    answers: list[tuple[int, Array]] = []
    line = iter(range(way.burst))

    async def caller() -> None:
        for number in line:  # shared by all callers: each takes the next request
            index = number % count
            begin = perf_counter()
            answer = await engine.infer(way.requests[index])
            measured.latencies.append(perf_counter() - begin)
            answers.append((index, answer["probs"] if isinstance(answer, dict) else answer))

    begin = perf_counter()
    async with anyio.create_task_group() as group:
        for _ in range(way.callers):
            group.start_soon(caller)
    measured.seconds += perf_counter() - begin
    for index, answer in answers:
        measured.answers[index] = answer
        measured.different += not _same_bits(answer, way.expected[index])


def _same_bits(one: Array, other: Array) -> bool:
    return one.shape == other.shape and one.tobytes() == other.tobytes()


def run_alone(model: Path, feeds: Sequence[Mapping[str, Array]], threads: int) -> list[Array]:
    """What the model itself says to each request alone: a plain session, no engine, no batch."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return [session.run(None, {k: v[np.newaxis] for k, v in feed.items()})[0][0] for feed in feeds]


# -- the digits ----------------------------------------------------------------------------------


def line_ways(digits: Sequence[Line], seconds: float) -> list[Way]:
    """One by one; 64 at once; 64 at once with widths padded to shared lengths."""
    images = [line.image for line in digits]
    pairs = [{"image": image, "width": np.asarray(image.shape[-1])} for image in images]
    plain, twin = MODELS / "digits_line.onnx", MODELS / "digits_linew.onnx"
    open_plain = partial(trtasync.open_engine, plain, **LINE_OPTIONS)
    open_padded = partial(trtasync.open_engine, twin, padding={"image": WIDTHS}, **LINE_OPTIONS)
    threads = LINE_OPTIONS["threads"]
    alone = run_alone(plain, [{"image": image} for image in images], threads)
    alone_twin = run_alone(twin, pairs, threads)
    rows: list[tuple[str, Opener, Sequence[Any], list[Array], int]] = [
        ("one by one", open_plain, images, alone, 1),
        (f"{CALLERS} at once", open_plain, images, alone, CALLERS),
        (f"{CALLERS}, padded", open_padded, pairs, alone_twin, CALLERS),
    ]
    burst = max(len(images), round(700 * seconds))  # every line, and few pauses
    return [
        Way(name=name, open=opener, requests=asked, expected=told, callers=callers, burst=burst)
        for name, opener, asked, told, callers in rows
    ]


def show_lines(console: Console, digits: Sequence[Line], answers: Mapping[int, Array]) -> None:
    """Some lines as pictures, with what was read and what was written."""
    color = (
        console.color_system in ("256", "truecolor")
        and not console.no_color
        and console.encoding.startswith("utf")
    )
    room = console.width - 22
    fitting = [i for i, line in enumerate(digits) if 40 <= line.image.shape[-1] <= room]
    wrong = [i for i in fitting if decode(answers[i]) != digits[i].text]
    right = [i for i in fitting if i not in set(wrong)]
    table = Table.grid(padding=(0, 2, 0, 0))
    for index in [*islice(right, SHOWN - 1), *islice(wrong, 1)]:
        line, read = digits[index], decode(answers[index])
        said = Text(f"read  {read}\ntruth {line.text}\n")
        said.append(*(("right", "green") if read == line.text else ("wrong", "bold red")))
        said.append("\n\n")
        drawn = picture(line.image, color=color)
        table.add_row(Text.from_ansi(drawn) if color else Text(drawn), said)
    console.print(table)


def accuracy(digits: Sequence[Line], answers: Mapping[int, Array]) -> tuple[float, float]:
    """(share of characters right, share of lines without any error)."""
    errors = [edit_distance(decode(answers[i]), line.text) for i, line in enumerate(digits)]
    characters = sum(len(line.text) for line in digits)
    return 1 - sum(errors) / characters, errors.count(0) / len(errors)


# -- the MLP -------------------------------------------------------------------------------------


def mlp_ways(hidden: int) -> list[Way]:
    """The large MLP, one by one and 64 at once. Needs `onnx` where the model is not there yet."""
    model = CACHE / f"big-mlp-{hidden}.onnx"
    if not model.exists():
        from examples.models.graphs import write_mlp

        CACHE.mkdir(exist_ok=True)
        partly = model.with_suffix(".part")
        write_mlp(partly, hidden)
        partly.replace(model)
    rows = list(np.random.default_rng(0).standard_normal((256, 1024), np.float32))
    alone = run_alone(model, [{"x": row} for row in rows], _cores())
    opener = partial(trtasync.open_engine, model, threads=_cores(), **MLP_OPTIONS)
    return [
        Way(name=name, open=opener, requests=rows, expected=alone, callers=callers, burst=burst)
        for name, callers, burst in (("one by one", 1, 128), (f"{CALLERS} at once", CALLERS, 1024))
    ]


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# -- what is shown -------------------------------------------------------------------------------


class Stage:
    """Measures ways one after another and shows how far it is.

    Nothing is redrawn while requests run: a drawing thread would take the GIL from the engine.
    """

    def __init__(self, console: Console, seconds: float):
        self._console = console
        self._seconds = seconds

    def run(self, ways: Sequence[Way]) -> list[Measured]:
        """All ways, in order."""
        quiet = not self._console.is_terminal
        columns = (
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
        )  # fmt: skip
        found = []
        with Progress(
            *columns, console=self._console, transient=True, auto_refresh=False, disable=quiet
        ) as progress:
            for way in ways:
                task = progress.add_task(way.name, total=1.0)
                progress.refresh()

                def tick(share: float, task: Any = task) -> None:
                    progress.update(task, completed=share, refresh=True)

                found.append(anyio.run(measure, way, self._seconds, tick))
        return found


def _table(title: str) -> Table:
    return Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False
    )


def speed_table(title: str, ways: Sequence[Way], found: Sequence[Measured]) -> Table:
    """Requests per second, speed-up, batches and latencies."""
    table = _table(title)
    table.add_column("", no_wrap=True)
    for head in ("requests/s", "speed-up", "rows/batch", "p50 ms", "p99 ms", "equal"):
        table.add_column(head, justify="right", no_wrap=True)
    for way, it in zip(ways, found, strict=True):
        table.add_row(
            way.name,
            f"{it.rate:,.0f}",
            f"{it.rate / found[0].rate:.1f}x",
            f"{it.mean_size:.1f}",
            f"{it.quantile(0.5):.2f}",
            f"{it.quantile(0.99):.2f}",
            "no" if it.different else "yes",
        )
    return table


def size_table(console: Console, ways: Sequence[Way], found: Sequence[Measured]) -> Table:
    """In batches of which size the requests ran, as bars."""
    block = "█" if console.encoding.startswith("utf") else "#"
    table = _table("Share of the requests by the size of the batch they ran in")
    table.add_column("size", justify="right", no_wrap=True)
    for way in ways:
        table.add_column(way.name, no_wrap=True)
    totals = [sum(size * times for size, times in it.sizes.items()) for it in found]
    for low, high in SIZE_CLASSES:
        cells = []
        for it, total in zip(found, totals, strict=True):
            rows = sum(size * times for size, times in it.sizes.items() if low <= size <= high)
            share = rows / total
            cells.append(f"{share:4.0%} {block * round(share * 12):12}" if rows else "")
        if any(cells):
            table.add_row(str(low) if low == high else f"{low}-{high}", *cells)
    return table


def verdict(console: Console, found: Sequence[Measured]) -> int:
    """Say whether every answer was the model's own; gives the exit status."""
    total = sum(len(it.latencies) for it in found)
    different = sum(it.different for it in found)
    if different:
        console.print(
            f"[bold red]{different:,} of {total:,} answers differ[/] from the model run alone.",
            highlight=False,
        )
        return 1
    console.print(
        f"[green]All {total:,} answers have the bits[/] of the model run alone.", highlight=False
    )
    return 0


def demo(console: Console, seconds: float, hidden: int) -> int:
    """The whole demonstration; gives the exit status."""
    digits = lines(500)
    console.print(
        f"trtasync {trtasync.__version__}, ONNX Runtime on {_cores()} CPU cores; "
        f"{seconds:g} s of load per row.\n",
        highlight=False,
    )
    stage = Stage(console, seconds)
    ways = line_ways(digits, seconds)
    found = stage.run(ways)
    console.print(
        f"[bold]{len(digits)} lines of handwritten digits[/], for example:\n", highlight=False
    )
    show_lines(console, digits, found[1].answers)
    characters, whole = accuracy(digits, found[1].answers)
    console.print(
        f"{characters:.1%} of the characters read right, {whole:.1%} of the lines without any "
        f"error.\nThe lines have {len({line.image.shape for line in digits})} different widths; "
        "only equal widths can share a batch, unless they are padded.\n",
        highlight=False,
    )
    console.print(speed_table("A small convolution (digits_line)", ways, found))
    console.print(size_table(console, ways, found))
    console.print(
        "A convolution does the same work for a row in a batch as for a row alone:\n"
        "on a CPU batching saves it little more than the calls.\n"
    )
    if hidden:
        found = [*found, *show_mlp(console, stage, hidden)]
    return verdict(console, found)


def show_mlp(console: Console, stage: Stage, hidden: int) -> list[Measured]:
    """The same for the MLP; nothing when its file cannot be written."""
    try:
        with console.status("writing and loading the MLP"):
            ways = mlp_ways(hidden)
    except ImportError as error:
        console.print(f"Skipped: the large MLP is written with the onnx package ({error}).\n")
        return []
    found = stage.run(ways)
    console.print(speed_table(f"A random MLP, 1024-{hidden}-{hidden}-{hidden}-10", ways, found))
    console.print("Reading its weights is most of an MLP's work, and a batch reads them once.\n")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m examples.demo")
    parser.add_argument("--seconds", type=float, default=3.0, help="of load per row (default: 3)")
    parser.add_argument(
        "--hidden", type=int, default=3072, help="units of the MLP's hidden layers; 0: no MLP"
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the load, a small MLP")
    options = parser.parse_args(arguments)
    if options.quick:
        options.seconds, options.hidden = 0.3, 256
    return demo(Console(), options.seconds, options.hidden)


if __name__ == "__main__":
    sys.exit(main())
