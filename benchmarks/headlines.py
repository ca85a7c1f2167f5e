"""The few figures that the README shows, each with the file of results it comes from."""

from collections.abc import Mapping

from benchmarks.report import Result

NAMES = ("peers", "gpu_resnet", "model_coverage", "real_models")
"""Results that are needed."""

RIVALS = {"ray": "Ray's `@serve.batch`", "async-batcher": "async-batcher"}
GPU = "trtasync/float32/3 : ceiling/float32/3, requests_per_second"


def headlines(results: Mapping[str, Result]) -> str:
    """A line per figure: what it is, how much, where it lies.

    Args:
        results: by the names of their files.
    """
    rows = [
        ("how long a lone caller waits for an answer (p50)", _lone(results["peers"]), ("peers",)),
        (
            "ResNet-50 on an H200: images/s, relative to copies and graphs run back to back",
            _gpu(results["gpu_resnet"]),
            ("gpu_resnet",),
        ),
        (
            "wrong answers from other people's models, asked alone and in batches",
            _wrong(results["model_coverage"], results["real_models"]),
            ("model_coverage", "real_models"),
        ),
    ]
    lines = ["| | | measured in |", "|---|---|---|"]
    for what, figure, names in rows:
        files = ", ".join(f"[{name}.json](benchmarks/results/{name}.json)" for name in names)
        lines.append(f"| {what} | {figure} | {files} |")
    return "\n".join(lines)


def _lone(peers: Result) -> str:
    def milliseconds(system: str) -> float:
        cell = peers["summary"]["cells"][f"{system}/in process"]
        return float(cell["1"]["p50_us"]["median"]) / 1000

    rivals = " and ".join(f"{milliseconds(each):.1f} with {name}" for each, name in RIVALS.items())
    return f"**{milliseconds('trtasync'):.3f} ms**; {rivals} (defaults, a model of microseconds)"


def _gpu(resnet: Result) -> str:
    ratio = resnet["summary"]["ratios"][GPU]
    spread = " .. ".join(f"{ratio[key]:.3f}" for key in ("min", "max"))
    return f"**{ratio['median']:.2f}** ({spread}), with a double of TensorRT whose kernels are real"


def _wrong(*suites: Result) -> str:
    ways = [counts for suite in suites for counts in suite["summary"].values()]
    asked, wrong, refused = (
        sum(counts[name] for counts in ways) for name in ("models", "wrong", "refused")
    )
    return f"**{wrong} of {asked:,}**; {refused:,} were refused, each with the reason"
