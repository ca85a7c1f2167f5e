"""Tables of how engines handle third-party models, from results of the nightly suites."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.report import Result, when

OUTCOMES = ("right", "refused", "wrong", "unclear")

COMMON = 10
"""Models that a reason is told for."""


def model_coverage(result: Result) -> str:
    """Outcomes by how the models were called, then refusals by reason."""
    ways = result["summary"]
    lines = [
        "| | models | right | of these in shared batches | refused | wrong | unclear |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for way, counts in ways.items():
        right, refused, wrong, unclear = (counts[outcome] for outcome in OUTCOMES)
        lines.append(
            f"| {way} | {counts['models']:,} | {right:,} | {counts['shared']:,} | {refused} "
            f"| {wrong} | {unclear} |"
        )
    lines += ["", *_refusals(ways)]
    about = f"onnx {result['parameters']['onnx']}"
    return "\n".join([*lines, "", _source(result, about)])


def genuine_builder(result: Result) -> str:
    """Plans and refusals by the models' origin, then the most frequent refusals, with reasons."""
    origins = result["summary"]
    lines = [
        "| | models | a plan | refused in a sentence | unclear |",
        "|---|---:|---:|---:|---:|",
    ]
    for origin, counts in origins.items():
        figures = (counts[each] for each in ("models", "right", "refused", "unclear"))
        lines.append(f"| {origin} | {' | '.join(f'{figure:,}' for figure in figures)} |")
    about = f"TensorRT for RTX {result['parameters']['tensorrt_rtx']}"
    return "\n".join([*lines, "", *_refusals(origins, COMMON), "", _source(result, about)])


def _refusals(ways: Mapping[str, Any], least: int = 1) -> Iterator[str]:
    """A table of reasons, the most frequent first; those of fewer models than `least` as one."""
    totals: Counter[str] = Counter()
    for counts in ways.values():
        totals.update(counts["refusals"])
    rare = {reason for reason, models in totals.items() if models < least}
    yield f"| refused because | {' | '.join(ways)} |"
    yield f"|---|{'---:|' * len(ways)}"
    for reason, _ in totals.most_common(len(totals) - len(rare)):
        cells = (str(counts["refusals"].get(reason, "")) for counts in ways.values())
        yield f"| {reason} | {' | '.join(cells)} |"
    if rare:
        sums = (sum(counts["refusals"].get(each, 0) for each in rare) for counts in ways.values())
        yield f"| {len(rare)} other reasons | {' | '.join(str(each or '') for each in sums)} |"


def real_models(result: Result) -> str:
    """One line per model: where it is from, and the outcome of each way of calling it."""
    ways = list(result["summary"])
    found = {(sample["group"], sample["model"]): sample for sample in result["samples"]}
    lines = [
        f"| model | package | licence | for | exporter | {' | '.join(ways)} |",
        f"|---|---|---|---|---|{'---|' * len(ways)}",
    ]
    for about in result["parameters"]["models"]:
        cells = (_cell(found.get((way, about["model"]))) for way in ways)
        file = about["model"].partition("/")[2]
        lines.append(
            f"| {file} | {about['package']} | {about['licence']} | {about['kind']} "
            f"| {about['exporter']} | {' | '.join(cells)} |"
        )
    return "\n".join([*lines, "", _source(result, f"{len(result['parameters']['models'])} models")])


def _cell(sample: Mapping[str, Any] | None) -> str:
    if sample is None:
        return ""
    if sample["outcome"] == "right":
        return "right, batched" if sample["shared"] else "right, alone"
    return f"**{sample['outcome']}**"


def _source(result: Result, about: str) -> str:
    hardware, versions = result["hardware"], result["versions"]
    return (
        f"<sub>{about}, {when(result)}; {hardware['cpu']}, {hardware['system']}; "
        f"ONNX Runtime {versions['onnxruntime']}, Python {versions['python']}, NumPy "
        f"{versions['numpy']}. `benchmarks/results/{result['name']}.json`</sub>"
    )
