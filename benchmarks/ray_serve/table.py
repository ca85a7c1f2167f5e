"""The table of replicas of Ray Serve."""

from benchmarks.report import Result
from benchmarks.showing import median, milli, rate, source, times


def ray_serve(result: Result) -> str:
    """Each way to ask, with an engine in the replica and with Ray's own batching."""
    callers = str(result["parameters"]["callers"])
    summary = result["summary"]
    lines = [
        "| in the replica | asked by | Ray's mode | requests/s (min .. max) | over `@serve.batch` "
        "| CPU µs/request | p50 ms | p99 ms |",
        "|---|---|---|---:|---:|---:|---:|---:|",
    ]
    for cell, by_callers in summary["cells"].items():
        system, _, mode = cell.partition("/")
        who, _, way = system.rpartition(", ")
        figures = by_callers[callers]
        rival = f"@serve.batch, {way}/{mode}"
        ratio = summary["ratios"].get(f"{cell} : {rival}, requests_per_second at {callers}")
        name = who.replace("@serve.batch", "`@serve.batch`").replace("trtasync", "**trtasync**")
        lines.append(
            f"| {name} | {way} | {mode} | {rate(figures)} | {times(ratio) if ratio else ''} | "
            f"{median(figures, 'cpu_us')} | {milli(figures, 'p50_us')} | "
            f"{milli(figures, 'p99_us')} |"
        )
    note = f"A batch takes {1e3 * result['parameters']['model_seconds']:g} ms, whatever its rows."
    return "\n".join([*lines, "", note, "", source(result)])
