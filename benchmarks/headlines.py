"""The few figures that the README shows, each with the results file it comes from."""

from collections.abc import Mapping

from benchmarks.report import Result, when

NAMES = ("peers", "gpu_resnet", "model_coverage", "real_models")
"""Results that are needed."""

UNHURRIED = {"batched": "batched", "async-batcher": "async-batcher", "ray": "Ray's `@serve.batch`"}
"""Peers that wait for company by default."""

AT_ONCE = {
    "aioautobatch": "aioautobatch",
    "bentoml": "BentoML's dispatcher",
    **{f"{system}-best": name for system, name in UNHURRIED.items()},
}
"""Peers that do not, or were told not to."""

RATE = "requests_per_second"
GPU, FUSED_GPU = "float32", "fused float32"
STREAMS = 3

FIXED = "InvalidInput: input got another shape"
"""How a single row is refused by a model that wants a certain number of them."""


def headlines(results: Mapping[str, Result]) -> str:
    """A line per figure: what it is, its value, and its file.

    Args:
        results: by the names of their files.
    """
    rows = [
        (
            "ResNet-50 on an H200, one image per request: images/s, beside the same copies and "
            "kernels without an engine",
            _gpu(results["gpu_resnet"]),
            ("gpu_resnet",),
        ),
        (
            "how long a lone caller waits for an answer (p50), in process, from a model that takes "
            "microseconds",
            _lone(results["peers"]),
            ("peers",),
        ),
        (
            "wrong answers from other people's models, asked alone and several at once",
            _wrong(results["model_coverage"], results["real_models"]),
            ("model_coverage", "real_models"),
        ),
    ]
    lines = ["| | |", "|---|---|"]
    for what, figure, names in rows:
        files = ", ".join(f"[{name}.json](benchmarks/results/{name}.json)" for name in names)
        lines.append(f"| {what} | {figure} ({files}) |")
    said = "; ".join(f"`{name}.json`: {_origin(results[name])}" for name in NAMES)
    return "\n".join([*lines, "", f"<sub>{said}</sub>"])


def _origin(result: Result) -> str:
    hardware = result["hardware"]
    return f"{when(result)}, {hardware.get('gpu') or hardware['cpu']}, {hardware['cores']} cores"


def _lone(peers: Result) -> str:
    def milliseconds(system: str) -> str:
        cell = peers["summary"]["cells"][f"{system}/in process"]
        median = float(cell["1"]["p50_us"]["median"]) / 1000
        return f"{median:.3f}" if median < 1 else f"{median:.1f}"

    def told(systems: Mapping[str, str]) -> str:
        return ", ".join(f"{name} {milliseconds(each)}" for each, name in systems.items())

    return (
        f"**{milliseconds('trtasync')} ms**. Others without a wait: {told(AT_ONCE)}; with their "
        f"default wait: {told(UNHURRIED)}. Written by hand for this model: {milliseconds('slab')}"
    )


def _gpu(resnet: Result) -> str:
    return (
        f"{_against(resnet, GPU)}. With fused convolutions, which are twice as fast: "
        f"{_against(resnet, FUSED_GPU)}. PyTorch's kernels stand in for a TensorRT plan's"
    )


def _against(resnet: Result, kind: str) -> str:
    """Against one image after another, and against full batches back to back."""
    cells, ours = resnet["summary"]["cells"], f"trtasync/{kind}/{STREAMS}"
    ceiling = resnet["summary"]["ratios"][f"{ours} : ceiling/{kind}/{STREAMS}, {RATE}"]
    rate, alone = (
        float(cells[cell][RATE]["median"]) for cell in (ours, f"plain spinning/{kind}/one client")
    )
    return (
        f"**{rate:,.0f}**, **{rate / alone:.1f} times** as many as image by image, and "
        f"{ceiling['median']:.2f} {_spread(ceiling)} of full batches back to back"
    )


def _spread(ratio: Mapping[str, float]) -> str:
    return f"({ratio['min']:.3f} .. {ratio['max']:.3f})"


def _wrong(*suites: Result) -> str:
    ways = [counts for suite in suites for counts in suite["summary"].values()]
    asked, wrong, shared, refused = (
        sum(counts[name] for counts in ways) for name in ("models", "wrong", "shared", "refused")
    )
    fixed = sum(counts["refusals"].get(FIXED, 0) for counts in ways)
    return (
        f"**{wrong} of {asked:,}**; {shared:,} of them shared batches. {refused:,} were refused, "
        f"each with the reason: {fixed:,} take only a fixed number of rows"
    )
