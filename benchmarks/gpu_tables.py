"""Tables of GPU measurements, made from `benchmarks/results/gpu_*.json`.

A part that was not measured (yet) has no rows in the overall table, and its own table says so.
"""

from collections.abc import Callable, Mapping, Sequence

from benchmarks import gpu_policy_tables as policy
from benchmarks.gpu_showing import RATE, hardware, measured, median_of, milli, ratio_of, source
from benchmarks.report import Result

BUSY = {
    "trtasync/tiny": "tiny model, graphs",
    "trtasync plain/tiny": "tiny model, plain enqueue",
    "A/tiny": "tiny model, hand-written batcher with threads",
    "trtasync/resnet50 float32": "ResNet-50 float32 (602 KB a row), graphs",
    "trtasync plain/resnet50 float32": "ResNet-50 float32, plain enqueue",
    "A/resnet50 float32": "ResNet-50 float32, hand-written batcher",
}
CASES = {
    "resnet50": "ResNet-50, one image a request",
    "resnet50 x 4": "ResNet-50, four images a request",
    "tiny": "tiny model (the loop's thread is the limit)",
}
NOT_YET = "Not measured yet."


def zero_copy(result: Result) -> str:
    """Copied and gathered rows over the ceiling, and the host's time per image."""
    lines = [
        "| input, streams | copied : ceiling | zero-copy : ceiling "
        "| host CPU µs per image, copied and zero-copy |",
        "|---|---:|---:|---:|",
    ]
    for kind, words in (("", ""), ("fused ", ", fused convolutions (twice as fast)")):
        for dtype in ("float32", "uint8"):
            for streams in result["parameters"]["streams"]:
                name = f"{kind}{dtype}/{streams}"
                both = [ratio_of(result, f"{one}/{name}", f"ceiling/{name}") for one in _WAYS]
                cpu = [median_of(result, f"{one}/{name}", "cpu_us") for one in _WAYS]
                if all(both):
                    lines.append(
                        f"| {dtype}{words}, {streams} | {both[0]} | {both[1]} "
                        f"| {cpu[0]} and {cpu[1]} |"
                    )
    return "\n".join([*lines, "", source(result)])


_WAYS = ("copied", "zero-copy")


def busy(result: Result) -> str:
    """Requests/s beside a thread that computes."""
    lines = ["| | alone | beside it | with a switch interval of 0.5 ms |", "|---|---:|---:|---:|"]
    for cell, words in BUSY.items():
        rates = [median_of(result, f"{cell}/{name}", RATE) for name in _CONDITIONS]
        if all(rates):
            lines.append(f"| {words} | {' | '.join(rates)} |")
    return "\n".join([*lines, "", source(result)])


_CONDITIONS = ("alone", "busy 5 ms", "busy 0.5 ms")


def bert(result: Result) -> str:
    """Padded texts over both ceilings, and what padding cost."""
    lines = [
        "| streams | texts/s | : the same batches without the engine | : full batches "
        "| tokens run per true token (by length x by batch size) | rows per batch |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for streams in result["parameters"]["streams"]:
        cell = f"trtasync/{streams}"
        waste = [median_of(result, cell, name) for name in ("padding", "by_length", "by_rows")]
        lines.append(
            f"| {streams} | {median_of(result, cell, RATE)} "
            f"| {ratio_of(result, cell, f'same batches/{streams}')} "
            f"| {ratio_of(result, cell, f'full batches/{streams}')} "
            f"| {waste[0]} ({waste[1]} x {waste[2]}) "
            f"| {median_of(result, cell, 'rows_per_batch')} |"
        )
    return "\n".join([*lines, "", _lengths(result), "", source(result)])


def _lengths(result: Result) -> str:
    found = result["summary"]["lengths"]
    marks = found["quantiles"]
    return (
        f"Lengths: {found['texts']:,} {found['source']}, in tokens: median {marks['50']}, mean "
        f"{found['mean']}, 90 % up to {marks['90']}, 99 % up to {marks['99']}; padded to "
        f"{', '.join(map(str, result['parameters']['padded_lengths']))}."
    )


def two_gpus(result: Result) -> str:
    """One queue over two GPUs against each of them alone."""
    lines = [
        "| work | loop | requests/s, GPU 0 | two GPUs | two GPUs : GPU 0 | : GPU 1 "
        "| batches on GPU 0 | host cores |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, words in CASES.items():
        for loop in result["parameters"]["loops"]:
            one, both = f"GPU 0/{name}/{loop}", f"two GPUs/{name}/{loop}"
            share = result["summary"]["cells"][both]["share_of_first_gpu"]["median"]
            lines.append(
                f"| {words} | {loop} | {median_of(result, one, RATE)} "
                f"| {median_of(result, both, RATE)} | {ratio_of(result, both, one)} "
                f"| {ratio_of(result, both, f'GPU 1/{name}/{loop}')} | {share:.0%} "
                f"| {median_of(result, both, 'cpu_cores')} |"
            )
    return "\n".join([*lines, "", source(result)])


Row = tuple[str, str, str]


def _resnet_rows(result: Result) -> list[Row]:
    rows = []
    for kind, words in (("", ""), ("fused ", " with fused convolutions (twice as fast)")):
        for dtype in ("float32", "uint8"):
            name = f"{kind}{dtype}/3"
            for over, whom in (("ceiling", "the ceiling"), ("A", "hand-written batcher")):
                found = ratio_of(result, f"trtasync/{name}", f"{over}/{name}")
                rows.append((f"ResNet-50 {dtype}{words}, 3 streams", whom, found))
    return rows


def _tiny_rows(result: Result) -> list[Row]:
    rows = []
    for loop in result["parameters"]["loops"]:
        rate = median_of(result, f"trtasync/{loop}/2", RATE)
        words = f"tiny model, 256 callers, 2 streams, {loop}: {rate} requests/s"
        found = ratio_of(result, f"trtasync/{loop}/2", f"A/{loop}/2")
        rows.append((words, "hand-written batcher", found))
        found = ratio_of(result, f"trtasync/{loop}/2", f"bare future/{loop}")
        rows.append((words, "bare futures, no model", found))
        for over, whom in (("sleeping", "sleeps on its event"), ("spinning", "burns a core")):
            one = f"trtasync/{loop}/one client"
            found = ratio_of(result, one, f"plain {over}/{loop}/one client", "p50_us")
            rows.append((f"tiny model, one caller, p50, {loop}", f"plain call that {whom}", found))
    return rows


def _memory_rows(result: Result) -> list[Row]:
    summary = result["summary"]
    growth = summary["million"]["growth"]
    taken = growth["device_allocated"] + growth["pinned_allocated"]
    return [
        ("device and pinned bytes over a million requests", "after warm-up", f"{taken:+d}"),
        ("device memory of 7 batch sizes", "of one", f"{summary['seven_over_one']:.2f}"),
    ]


def _zero_copy_rows(result: Result) -> list[Row]:
    return [
        (
            f"ResNet-50 {dtype} from pinned arrays, {streams} streams",
            "the ceiling",
            ratio_of(result, f"zero-copy/{dtype}/{streams}", f"ceiling/{dtype}/{streams}"),
        )
        for dtype in ("float32", "uint8")
        for streams in result["parameters"]["streams"]
    ]


def _bert_rows(result: Result) -> list[Row]:
    return [
        (
            f"BERT-base's size, texts of real lengths padded, {streams} streams",
            f"{over} without the engine",
            ratio_of(result, f"trtasync/{streams}", f"{over}/{streams}"),
        )
        for streams in result["parameters"]["streams"]
        for over in ("same batches", "full batches")
    ]


def _two_gpus_rows(result: Result) -> list[Row]:
    return [
        (
            f"{CASES[name]}, two GPUs, {loop}",
            "GPU 0 alone",
            ratio_of(result, f"two GPUs/{name}/{loop}", f"GPU 0/{name}/{loop}"),
        )
        for name in ("resnet50", "resnet50 x 4")
        for loop in result["parameters"]["loops"]
    ]


ROWS: dict[str, Callable[[Result], list[Row]]] = {
    "gpu_resnet": _resnet_rows,
    "gpu_zero_copy": _zero_copy_rows,
    "gpu_bert": _bert_rows,
    "gpu_two_gpus": _two_gpus_rows,
    "gpu_tiny": _tiny_rows,
    "gpu_memory": _memory_rows,
}


HEADLINES = ("the ceiling", "same batches without the engine", "GPU 0 alone")
"""What ratios are against that say how much of a GPU an engine gets out of it."""


def summary(results: Mapping[str, Result], against: Sequence[str] = ()) -> str:
    """The ratios of all parts that were measured.

    Args:
        results: by the names of their files.
        against: only these; all if there are none.
    """
    lines = ["| work | against | ratio (min .. max) |", "|---|---|---:|"]
    shown = []
    for name, rows_of in ROWS.items():
        rows = rows_of(results[name]) if name in results else []
        rows = [row for row in rows if row[2] and (not against or row[1] in against)]
        lines += [f"| {' | '.join(row)} |" for row in rows]
        shown += [name] if rows else []
    if not shown:
        return NOT_YET
    when = "; ".join(f"`{name}.json`: {measured(results[name])}" for name in shown)
    return "\n".join([*lines, "", f"<sub>{hardware(results[shown[0]])}. {when}.</sub>"])


def shared(result: Result) -> str:
    """ResNet-50 for four processes that share an engine."""
    lines = [
        "| ResNet-50, rows in `empty_input` | images/s | over the ceiling | CPU µs/image, callers "
        "| p99 ms |",
        "|---|---:|---:|---:|---:|",
    ]
    for dtype in ("float32", "uint8"):
        for name, words in _SHARED.items():
            cell = f"{name}/{dtype}"
            figures = [median_of(result, cell, figure) for figure in (RATE, "cpu_us")]
            ratio = ratio_of(result, cell, f"ceiling/{dtype}")
            latency = milli(result["summary"]["cells"][cell], "p99_us")
            lines.append(
                f"| {dtype}, {words} | {figures[0]} | {ratio} | {figures[1]} | {latency} |"
            )
    return "\n".join([*lines, "", source(result)])


_SHARED = {
    "ceiling": "the ceiling",
    "shared": "four processes",
    "shared busy": "four processes, a computing Python thread in each",
}


TABLES: dict[str, Callable[[Result], str]] = {
    "gpu_shared": shared,
    "gpu_zero_copy": zero_copy,
    "gpu_busy": busy,
    "gpu_bert": bert,
    "gpu_two_gpus": two_gpus,
    "gpu_arrivals": policy.arrivals,
    "gpu_streams": policy.streams,
    "gpu_lead": policy.lead,
}


def marked(name: str, results: Mapping[str, Result]) -> str:
    """The table of a marker: "gpu" is that of all parts, "gpu_headlines" the short one.

    Raises:
        ValueError: there is no such table.
    """
    if name in _OF_ALL:
        return summary(results, _OF_ALL[name])
    if name not in TABLES:
        raise ValueError(f"table:{name}: no such table")
    return TABLES[name](results[name]) if name in results else NOT_YET


_OF_ALL: dict[str, Sequence[str]] = {"gpu": (), "gpu_headlines": HEADLINES}


def names() -> Sequence[str]:
    """All markers that there may be."""
    return (*_OF_ALL, *TABLES)
