"""Tables of shared engines."""

from benchmarks.report import Result, cell_name
from benchmarks.showing import median, rate, source, times


def sharing(result: Result) -> str:
    """An engine in the process, and one that processes share."""
    summary = result["summary"]
    lines = [
        "| 12 KB rows | requests/s (min .. max) | over in process | CPU µs/request, callers "
        "| its host | p50 µs | p99 µs |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for cell, figures in summary["cells"][""].items():
        where, _, load = cell.partition("/")
        ratio = summary["ratios"].get(f"{cell} : in process/64, requests_per_second")
        host = median(figures, "host_us") if where == "shared" else ""
        lines.append(
            f"| {where}, {load.replace('x', '×')} | {rate(figures)} | "
            f"{times(ratio) if ratio else ''} | {median(figures, 'cpu_us')} | {host} | "
            f"{median(figures, 'p50_us')} | {median(figures, 'p99_us')} |"
        )
    lone = summary["ratios"]["shared/one caller : in process/one caller, p50_us"]
    note = f"One caller's p50, shared over in process: {times(lone)}."
    return "\n".join([*lines, "", note, "", source(result)])


def sharing_web(result: Result) -> str:
    """FastAPI workers with one engine for all, and with one in each."""
    callers = str(result["parameters"]["callers"])
    cells, ratios = result["summary"]["cells"], result["summary"]["ratios"]
    lines = [
        "| workers | one engine for all: requests/s (min .. max) | one in each | over that "
        "| CPU µs/request | one in each | MiB | one in each | p99 µs | one in each |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for workers in result["parameters"]["workers"]:
        names = cell_name("shared", str(workers)), cell_name("own", str(workers))
        both = [cells[name][callers] for name in names]
        ratio = ratios[f"{names[0]} : {names[1]}, requests_per_second at {callers}"]
        figures = [median(each, name) for name in ("cpu_us", "pss_mib", "p99_us") for each in both]
        shown = [rate(both[0]), rate(both[1]), times(ratio), *figures]
        lines.append(f"| {workers} | {' | '.join(shown)} |")
    return "\n".join([*lines, "", source(result)])
