"""What one GPU needs from the machine and network around it, from measurements."""

from collections.abc import Mapping
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
    return "\n".join([*lines, "", _source(results)])


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


def _source(results: Mapping[str, Result]) -> str:
    used = {work.result: results[work.result] for work in WORKS}
    gpus = {result["hardware"]["gpu"] for result in used.values()}
    said = "; ".join(f"`{name}.json`: {when(result)}" for name, result in used.items())
    return (
        f"<sub>{', '.join(sorted(gpus))}; a double of TensorRT whose kernels are real. {said}</sub>"
    )


NEEDED = frozenset(work.result for work in WORKS)
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
