"""The tables of other people's models, made of a result."""

from typing import Any

from benchmarks.coverage_tables import COMMON, genuine_builder


def counts(models: int, **refusals: int) -> dict[str, Any]:
    refused = sum(refusals.values())
    return {
        "models": models,
        "right": models - refused,
        "refused": refused,
        "unclear": 0,
        "refusals": refusals,
    }


def test_plans_and_refusals_are_counted_and_rare_reasons_are_one_line() -> None:
    result = {
        "name": "genuine_builder",
        "commit": "0123456789abcdef",
        "dirty": False,
        "date": "2026-01-02 03:04 UTC",
        "hardware": {"cpu": "X", "system": "Linux x86_64"},
        "versions": {"python": "3.11.7", "numpy": "2.4.6", "onnxruntime": "1.32.0"},
        "parameters": {"tensorrt_rtx": "1.7.1.116"},
        "summary": {
            "files": counts(2000, often=COMMON - 1, seldom=1),
            "real models": counts(48, often=1, once=2),
        },
    }
    assert genuine_builder(result).splitlines() == [
        "| | models | a plan | refused in a sentence | unclear |",
        "|---|---:|---:|---:|---:|",
        f"| files | 2,000 | {2000 - COMMON:,} | {COMMON} | 0 |",
        "| real models | 48 | 45 | 3 | 0 |",
        "",
        "| refused because | files | real models |",
        "|---|---:|---:|",
        f"| often | {COMMON - 1} | 1 |",
        "| 2 other reasons | 1 | 2 |",
        "",
        "<sub>TensorRT for RTX 1.7.1.116, 2026-01-02 03:04 UTC, 0123456789; X, Linux x86_64; ONNX "
        "Runtime 1.32.0, Python 3.11.7, NumPy 2.4.6. `benchmarks/results/genuine_builder.json`"
        "</sub>",
    ]
