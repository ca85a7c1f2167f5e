"""Figures of GPUs as tables show them, and where these are from."""

from collections.abc import Mapping
from typing import Any

from benchmarks.report import Result, when
from benchmarks.table import number

RATE = "requests_per_second"


def source(result: Result) -> str:
    """Where and when a table's figures come from, as one line."""
    return (
        f"<sub>{hardware(result)}; {measured(result)}. "
        f"`benchmarks/results/{result['name']}.json`</sub>"
    )


def hardware(result: Result) -> str:
    """The machine, and the versions that matter on it."""
    about, versions = result["hardware"], result["versions"]
    return (
        f"{about['gpu']}, {about['cores']} cores; Python {versions['python']}, torch "
        f"{versions['torch']}"
    )


def measured(result: Result) -> str:
    """How long, when, and of which commit."""
    parameters = result["parameters"]
    rounds = parameters.get("rounds")
    how = f"{rounds} round(s) of {parameters['seconds']:g} s, " if rounds else ""
    return f"{how}{when(result)}"


def ratio_of(result: Result, cell: str, over: str, name: str = RATE) -> str:
    """A ratio with its spread; "" where it was not measured."""
    found = result["summary"]["ratios"].get(f"{cell} : {over}, {name}")
    if found is None:
        return ""
    median, low, high = (f"{found[key]:.3g}" for key in ("median", "min", "max"))
    return median if low == high else f"{median} ({low} .. {high})"


def median_of(result: Result, cell: str, name: str) -> str:
    """The median; "" where it was not measured."""
    found = result["summary"]["cells"].get(cell, {}).get(name)
    return "" if found is None else number(float(found["median"]))


def milli(cell: Mapping[str, Any], name: str) -> str:
    """The median in thousandths."""
    return f"{float(cell[name]['median']) / 1e3:.3g}"
