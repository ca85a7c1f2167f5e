"""The tables of the README and of docs/, made from `benchmarks/results/*.json`.

A table stands between `<!-- table:NAME -->` and `<!-- /table -->`. `python -m
benchmarks.readme_tables` writes them, `--check` only says (exit status 1) whether they differ.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import coverage_tables, effective_deadline, fleet_table, gpu_tables, headlines
from benchmarks.busy_table import busy_thread
from benchmarks.installs import installs
from benchmarks.own_times import own_times
from benchmarks.peers.catalogue import REFERENCE
from benchmarks.ray_serve.table import ray_serve
from benchmarks.report import RESULTS, ROOT, Result
from benchmarks.serving.tables import serving
from benchmarks.sharing.tables import sharing, sharing_web
from benchmarks.showing import median, milli, rate, simulated, source, times
from benchmarks.simulation import ablation as rules
from benchmarks.simulation import deadlines as hasty
from benchmarks.simulation.table import counts, table

PAGES = (
    ROOT / "README.md",
    ROOT / "docs" / "benchmarks.md",
    ROOT / "docs" / "tensorrt.md",
    ROOT / "docs" / "policies.md",
    ROOT / "docs" / "model-coverage.md",
    ROOT / "docs" / "deploying.md",
    ROOT / "docs" / "serving.md",
    ROOT / "docs" / "fleet.md",
    ROOT / "docs" / "ray.md",
    ROOT / "docs" / "anyio-deadlines.md",
)
MARKED = re.compile(r"(<!-- table:(?P<name>\w+) -->\n).*?(<!-- /table -->)", re.DOTALL)

SYSTEM_NAMES = {
    "null": "no batcher, no model (bare futures)",
    "slab": "hand-written, no features (`benchmarks/yardsticks.py`)",
    "async-batcher": "async-batcher {async-batcher}, default",
    "async-batcher-best": "async-batcher {async-batcher}, at its best",
    "trtasync": "**trtasync**",
}


def overhead(result: Result) -> str:
    """Requests per second, CPU and latency of every system and loop, then the ratios."""
    cells = result["summary"]["cells"]
    lines = [
        "| | loop | requests/s (min .. max) | CPU µs/request | p50 µs | p99 µs "
        "| p50 µs, 1 caller |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for cell, by_callers in cells.items():
        system, loop = cell.split("/")
        many, one = by_callers["64"], by_callers["1"]
        name = SYSTEM_NAMES[system].format_map(result["versions"])
        lines.append(
            f"| {name} | {loop} | {rate(many)} | {median(many, 'cpu_us')} | "
            f"{median(many, 'p50_us')} | {median(many, 'p99_us')} | {median(one, 'p50_us')} |"
        )
    return "\n".join([*lines, "", *_overhead_notes(result), "", source(result)])


def _overhead_notes(result: Result) -> list[str]:
    summary = result["summary"]
    notes = []
    for system, name in (("slab", "the hand-written one"), ("async-batcher-best", "async-batcher")):
        found = {
            loop: summary["ratios"].get(
                f"trtasync/{loop} : {system}/{loop}, requests_per_second at 64"
            )
            for loop in ("asyncio", "uvloop")
        }
        shown = [f"{times(ratio)} ({loop})" for loop, ratio in found.items() if ratio]
        if shown:
            notes.append(f"Requests/s of trtasync against {name}: {', '.join(shown)}.")
    if summary["idle"]:
        worst = max(used["cores"] for used in summary["idle"].values())
        notes.append(f"An open engine that nobody asks uses {worst * 100:.2g} % of a core.")
    return [" ".join(notes)]


PEER_KINDS = {
    "in process": "In process, called from the loop that also runs the callers",
    "HTTP": "Over localhost HTTP, one load generator for all",
}


def peers(result: Result) -> str:
    """A table of in-process peers and one of servers, with reasons for those not run."""
    lines = []
    for kind, title in PEER_KINDS.items():
        lines += [
            f"{title}:",
            "",
            "| | settings | requests/s (min .. max) | CPU µs/request | CPU, ours = 1 "
            "| p50 ms | p99 ms | p50 ms, 1 caller |",
            "|---|---|---:|---:|---:|---:|---:|---:|",
            *(
                _peer(cell, about, result["summary"])
                for cell, about in result["summary"]["systems"].items()
                if about["kind"] == kind
            ),
            "",
        ]
    return "\n".join([*lines, source(result)])


def _peer(cell: str, about: Mapping[str, str], summary: Mapping[str, Any]) -> str:
    name = f"| {about['title']} | {about['settings']} |"
    if "not_run" in about:
        return f"{name} not run: {about['not_run']} | | | | | |"
    many, one = summary["cells"][cell]["64"], summary["cells"][cell]["1"]
    ratios = summary["ratios"].items()
    cost = [times(ratio) for key, ratio in ratios if key.startswith(f"{cell} : ") and "cpu" in key]
    if cell in REFERENCE.values():
        cost = ["1"]
    return (
        f"{name} {rate(many)} | {median(many, 'cpu_us')} | {''.join(cost)} | "
        f"{milli(many, 'p50_us')} | {milli(many, 'p99_us')} | {milli(one, 'p50_us')} |"
    )


def policies(result: Result) -> str:
    """How many points are worse than the best fixed delay, then two of its loads in full."""
    points = result["summary"]
    shown = [
        point
        for point in points
        if point["machine"] == points[0]["machine"] and point["process"] in IN_FULL
    ]
    return "\n\n".join([counts(points), table(shown), _simulated(result)])


IN_FULL = ("poisson", "closed loop")
"""Arrivals of which every load is shown."""


def deadlines(result: Result) -> str:
    """Closed loops of callers with deadlines."""
    seeds = result["parameters"]["seeds"]
    note = simulated(result, f"Answers in time per second, median of {seeds} seeds")
    return f"{hasty.table(result['summary'])}\n\n{note}"


def ablation(result: Result) -> str:
    """The value of every rule of the policy."""
    return f"{rules.table(result['summary'])}\n\n{_simulated(result)}"


def _simulated(result: Result) -> str:
    parameters = result["parameters"]
    return simulated(result, f"{parameters['seeds']} seeds of {parameters['requests']:,} requests")


def overload(result: Result) -> str:
    """Goodput and losses, for every bound of the queue and every load."""
    lines = [
        "| bound of the queue | load, capacities | goodput (min .. max) | priority 1: lost "
        "| p99 ms | priority 9: lost | p99 ms | refusal µs |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for cell, figures in result["summary"].items():
        bound, times = cell.split("/")
        goodput, refusal = figures["goodput"], figures["refusal_p50_us"]
        first, last = figures["priorities"]["1"], figures["priorities"]["9"]
        lines.append(
            f"| `{bound}` | {times} | {goodput['median']:.3f} "
            f"({goodput['min']:.3f} .. {goodput['max']:.3f}) | {_share(first['lost'])} | "
            f"{median(first, 'p99_ms')} | {_share(last['lost'])} | {median(last, 'p99_ms')} | "
            f"{median(figures, 'refusal_p50_us') if refusal else ''} |"
        )
    note = f"A batch of n rows takes {result['parameters']['model']}."
    return "\n".join([*lines, "", note, "", source(result)])


def _share(lost: Mapping[str, float]) -> str:
    return f"{lost['median']:.1%}" if lost["max"] else "0"


TABLES: dict[str, Callable[[Result], str]] = {
    "overhead": overhead,
    "sharing": sharing,
    "sharing_web": sharing_web,
    "serving": serving,
    "serving_fronts": serving,
    "busy_thread": busy_thread,
    "peers": peers,
    "policies": policies,
    "model_coverage": coverage_tables.model_coverage,
    "genuine_builder": coverage_tables.genuine_builder,
    "real_models": coverage_tables.real_models,
    "deadlines": deadlines,
    "ablation": ablation,
    "overload": overload,
    "installs": installs,
    "effective_deadline": effective_deadline.table,
    "ray_serve": ray_serve,
}


TOGETHER: dict[str, tuple[Iterable[str], Callable[[Mapping[str, Result]], str]]] = {
    "headlines": (headlines.NAMES, headlines.headlines),
    "fleet": (fleet_table.NEEDED, fleet_table.fleet),
    "fronts": ((fleet_table.SERVING,), fleet_table.fronts),
    "fleet_example": (fleet_table.OF_EXAMPLE, fleet_table.example),
}
"""Tables of several results, or of one by another name: what they need, and who makes them."""


def regenerated(text: str, results: Path = RESULTS) -> str:
    """`text` with every marked table made again.

    Raises:
        ValueError: a marked table is unknown, or its results file is missing.
    """
    found = {path.stem: json.loads(path.read_text()) for path in sorted(results.glob("*.json"))}

    def table(match: re.Match[str]) -> str:
        name = match["name"]
        return f"{match[1]}{_made(name, found)}{own_times(name, found)}\n{match[3]}"

    return MARKED.sub(table, text)


def _made(name: str, results: Mapping[str, Result]) -> str:
    if name in gpu_tables.names():
        return gpu_tables.marked(name, results)
    needed = TOGETHER[name][0] if name in TOGETHER else (name,)
    if name not in {*TOGETHER, *TABLES} or not results.keys() >= {*needed}:
        raise ValueError(f"table:{name}: no such table, or no results of {', '.join(needed)}")
    return TOGETHER[name][1](results) if name in TOGETHER else TABLES[name](results[name])


def main(arguments: list[str] | None = None) -> int:
    """Write the tables, or with `--check` compare them; returns the exit status."""
    parser = argparse.ArgumentParser(prog="benchmarks.readme_tables", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing, exit 1 on a difference"
    )
    parser.add_argument("pages", nargs="*", type=Path, default=PAGES)
    options = parser.parse_args(arguments)
    return max(_page(page, options.check) for page in options.pages)


def _page(page: Path, check: bool) -> int:
    text = page.read_text(encoding="utf-8")
    try:
        fresh = regenerated(text)
    except ValueError as error:
        print(f"{page.name}: {error}", file=sys.stderr)
        return 1
    if fresh == text:
        return 0
    if check:
        print(f"{page.name}: tables differ; run `make readme`", file=sys.stderr)
        return 1
    page.write_text(fresh, encoding="utf-8")
    print(f"{page.name}: tables written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
