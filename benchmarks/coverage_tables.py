"""Tables of how engines answer for everybody's models, from results of the nightly suites."""

from collections.abc import Mapping
from typing import Any

from benchmarks.report import Result, when

OUTCOMES = ("right", "refused", "wrong", "unclear")


def model_coverage(result: Result) -> str:
    """Outcomes by the way in which the models were asked, then refusals by reason."""
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
    lines += ["", f"| refused because | {' | '.join(ways)} |", f"|---|{'---:|' * len(ways)}"]
    totals: dict[str, int] = {}
    for counts in ways.values():
        for reason, models in counts["refusals"].items():
            totals[reason] = totals.get(reason, 0) + models
    for reason in sorted(totals, key=totals.__getitem__, reverse=True):
        cells = (str(counts["refusals"].get(reason, "")) for counts in ways.values())
        lines.append(f"| {reason} | {' | '.join(cells)} |")
    about = f"onnx {result['parameters']['onnx']}"
    return "\n".join([*lines, "", _source(result, about)])


def real_models(result: Result) -> str:
    """One line per model: where it is from, and what came of each way of asking."""
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
