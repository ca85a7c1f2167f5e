"""What one GPU needs from the machine and network around it, from measurements."""

from collections.abc import Iterable, Mapping
from math import ceil
from typing import NamedTuple

from benchmarks import showing
from benchmarks.report import Result, when
from benchmarks.table import number

PLANNED = 0.7
"""Of what was measured: the load that is planned for; what is left keeps queues short."""

GIGA = 1e9
LINKS = (25, 100)
"""Gbit/s of a node's network."""

COLUMNS = (
    "| model | rows/s of a GPU | planned for | cores of the engine's process "
    "| of clients in Python | into the node | a link of 25 Gbit/s is full at | of 100 Gbit/s |"
)


class Work(NamedTuple):
    """A measured model.

    Attributes:
        words: its name in the table.
        result: the result with its measurement.
        cell: the cell of that result.
        row_bytes: bytes of a request.
        engine: its figure of CPU per request in the engine's process, in microseconds.
        clients: the same for processes that share the engine; "" if it was not shared.
    """

    words: str
    result: str
    cell: str
    row_bytes: float
    engine: str = "cpu_us"
    clients: str = ""


WORKS = (
    Work(
        "ResNet-50, float32 images",
        "gpu_shared",
        "shared/float32",
        4 * 3 * 224 * 224,
        "host_us",
        "cpu_us",
    ),
    Work(
        "ResNet-50, uint8 images",
        "gpu_shared",
        "shared/uint8",
        3 * 224 * 224,
        "host_us",
        "cpu_us",
    ),
    # two inputs of int64, of the mean text length
    Work("BERT-base's size, texts of 61 tokens", "gpu_bert", "trtasync/3", 2 * 8 * 61.4),
    Work("a tiny model, 12 KB rows", "gpu_tiny", "trtasync/uvloop/2", 4 * 3072),
)


def fleet(results: Mapping[str, Result]) -> str:
    """A line per model."""
    lines = [COLUMNS, "|---|---:|---:|---:|---:|---:|---:|---:|"]
    lines += [_line(work, results[work.result]) for work in WORKS]
    return "\n".join([*lines, "", _source(results, NEEDED)])


def _line(work: Work, result: Result) -> str:
    figures = result["summary"]["cells"][work.cell]
    rate = figures["requests_per_second"]["median"]
    planned = PLANNED * rate
    bits = 8 * work.row_bytes
    cells = [
        work.words,
        f"{rate:,.0f}",
        f"{planned:,.0f}",
        f"{planned * figures[work.engine]['median'] / 1e6:.2g}",
        f"{planned * figures[work.clients]['median'] / 1e6:.2g}" if work.clients else "",
        f"{number(planned * bits / GIGA)} Gbit/s",
        *(f"{float(f'{link * GIGA / bits:.3g}'):,.0f}" for link in LINKS),
    ]
    return f"| {' | '.join(cells)} |"


def _source(results: Mapping[str, Result], names: Iterable[str]) -> str:
    said = "; ".join(
        f"`{name}.json`: {when(results[name])}, {_machine(results[name])}" for name in names
    )
    return f"<sub>PyTorch's kernels and our own, in place of a TensorRT plan's. {said}</sub>"


def _machine(result: Result) -> str:
    hardware = result["hardware"]
    return str(hardware.get("gpu") or hardware["cpu"])


NEEDED = tuple(dict.fromkeys(work.result for work in WORKS))
"""Results without which there is no table."""

SERVING = "serving"
"""The result that tells what fronts cost."""

DOORS = {
    "trtasync/64": "HTTP, binary, 12 KB",
    "trtasync, 600 KB/600 KB": "HTTP, binary, 602 KB",
    "trtasync/JSON": "HTTP, the same 12 KB as JSON",
    "trtasync, gRPC/gRPC": "gRPC, 12 KB",
    "ray/64": "Ray Serve, 12 KB, without this library",
}


def fronts(results: Mapping[str, Result]) -> str:
    """A line per door: what a request costs, and how many a core can serve."""
    result = results[SERVING]
    lines = [
        "| a request over | CPU µs of the server | requests/s that are planned for, of a core |",
        "|---|---:|---:|",
    ]
    for cell, words in DOORS.items():
        cost = result["summary"]["cells"][""][cell]["cpu_us"]["median"]
        lines.append(f"| {words} | {number(cost)} | {number(PLANNED * 1e6 / cost)} |")
    return "\n".join([*lines, "", showing.source(result)])


EXAMPLE = WORKS[1]
WANTED = 40_000
"""Of the example: rows per second at the peak hour."""

OF_EXAMPLE = (EXAMPLE.result, SERVING)
"""Results that it needs."""


def example(results: Mapping[str, Result]) -> str:
    """The arithmetic of a service, from the figures of both tables."""
    figures = results[EXAMPLE.result]["summary"]["cells"][EXAMPLE.cell]
    most = figures["requests_per_second"]["median"]
    engine = figures[EXAMPLE.engine]["median"]
    front = _front_cost(results[SERVING], EXAMPLE.row_bytes)
    gpus = ceil(WANTED / (PLANNED * most))
    each = WANTED / (gpus + 1)
    text = (
        f"An example: {WANTED:,} images/s as uint8. `C` is {most:,.0f}, so {WANTED:,} / "
        f"{PLANNED * most:,.0f} = {WANTED / (PLANNED * most):.1f}: {gpus} GPUs, and one more to "
        f"lose. Each of the {gpus + 1} then takes {each:,.0f} images/s at most on a common day: "
        f"{number(each * 8 * EXAMPLE.row_bytes / GIGA)} Gbit/s. The engine's process needs "
        f"{each:,.0f} × {number(engine)} µs = {each * engine / 1e6:.2g} of a core. A request of "
        f"this size costs a front {number(front)} µs (between those of 12 and 602 KB, by the "
        f"bytes), so an engine has {most:,.0f} × {number(front)} µs = {most * front / 1e6:.2g}, "
        f"rounded up: {ceil(most * front / 1e6)} fronts, which also do when a GPU is lost and the "
        f"others have {WANTED / gpus:,.0f} images/s each."
    )
    return "\n".join([text, "", _source(results, OF_EXAMPLE)])


def _front_cost(serving: Result, row_bytes: float) -> float:
    """Microseconds of a front for a request of this size, on the line between two measured ones."""
    cells = serving["summary"]["cells"][""]
    small, large = (cells[cell]["cpu_us"]["median"] for cell in (_SMALL, _LARGE))
    share = (row_bytes - SMALL_BYTES) / (LARGE_BYTES - SMALL_BYTES)
    return float(small + share * (large - small))


_SMALL, _LARGE, *_ = DOORS
SMALL_BYTES, LARGE_BYTES = 4 * 3072, 4 * 150_528
"""Of the rows that are sent through the first two of `DOORS`."""
