"""Tables of how batches share a GPU and when they go, made from `benchmarks/results/gpu_*.json`."""

from benchmarks.gpu_showing import RATE, median_of, milli, ratio_of, source
from benchmarks.report import Result


def arrivals(result: Result) -> str:
    """p50 and p99 of the engine's policy and of fixed delays, over load."""
    parameters = result["parameters"]
    delays = [f"delay {delay * 1e3:g} ms" for delay in parameters["delays"]]
    lines = [
        f"| load | trtasync | {' | '.join(delays)} | trtasync : best delay, p50 | p99 |",
        f"|---:|{'---:|' * (len(delays) + 3)}",
    ]
    cells = result["summary"]["cells"]
    for load in parameters["loads"]:
        found = [cells[f"{name}/{load:.0%}"] for name in ("trtasync", *delays)]
        shown = [f"{milli(cell, 'p50_us')} / {milli(cell, 'p99_us')}" for cell in found]
        ours, *others = found
        ratios = []
        for figure in ("p50_us", "p99_us"):
            best = min(float(cell[figure]["median"]) for cell in others)
            ratios.append(f"{float(ours[figure]['median']) / best:.2f}")
        lines.append(f"| {load:.0%} | {' | '.join([*shown, *ratios])} |")
    rate = median_of(result, "trtasync/closed loop", RATE)
    notes = (
        f"Milliseconds, p50 / p99. 100 % is the closed loop's rate of this run, {rate} images/s."
    )
    return "\n".join([*lines, "", notes, "", source(result)])


SHOWN_ROWS = (1, 4, 16, 64)
"""Of the batch sizes measured."""


def streams(result: Result) -> str:
    """What batches of one size take when so many streams run them back to back."""
    cells, many = result["summary"]["cells"], result["parameters"]["streams"]
    lines = [
        f"| rows | {' | '.join(_counted(count) for count in many)} "
        f"| latency of one batch beside {' / '.join(str(count - 1) for count in many)} others |",
        f"|---:|{'---:|' * len(many)}---|",
    ]
    for rows in SHOWN_ROWS:
        found = [cells[f"float32/{count} streams, depth 1/{rows} rows"] for count in many]
        each = " | ".join(milli(cell, "batch_us") for cell in found)
        latencies = " / ".join(milli(cell, "p50_us") for cell in found)
        lines.append(f"| {rows} | {each} | {latencies} |")
    return "\n".join([*lines, "", source(result)])


def _counted(count: int) -> str:
    return "1 stream" if count == 1 else f"{count} streams"


def lead(result: Result) -> str:
    """Latencies of ResNet-50 without a lead, over those with the engine's own."""
    lines = ["| | p50, without : with | p99, without : with |", "|---|---:|---:|"]
    clients, loads = result["parameters"]["clients"], result["parameters"]["loads"]
    cases = {f"load {load:.0%}": f"open loop, {load:.0%} of capacity" for load in loads}
    cases |= {f"{count} clients": f"closed loop, {count} callers" for count in clients}
    for case, words in cases.items():
        without, ours = (f"resnet50 uint8/{case}/lead {lead} ms" for lead in ("0", "0.1"))
        found = [ratio_of(result, without, ours, name) for name in ("p50_us", "p99_us")]
        lines.append(f"| {words} | {' | '.join(found)} |")
    return "\n".join([*lines, "", source(result)])
