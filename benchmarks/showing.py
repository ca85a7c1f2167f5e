"""Formats figures as the tables of README and docs show them."""

from collections.abc import Mapping
from typing import Any

from benchmarks.report import Result, when
from benchmarks.table import number


def source(result: Result) -> str:
    """Where and when a table's figures come from, as one line."""
    hardware, versions = result["hardware"], result["versions"]
    parameters = result["parameters"]
    foreign = parameters["foreign_cores"]
    busy = ""
    if foreign:
        middle, most = foreign["median"], foreign["max"]
        busy = f"; other processes used {middle:.2g} cores meanwhile (at most {most:.2g})"
    return (
        f"<sub>Median of {parameters['rounds']} interleaved rounds, {when(result)}; "
        f"{hardware['cpu']}, {hardware['cores']} cores, {hardware['memory_gib']} GiB, "
        f"{hardware['system']}; Python {versions['python']}, NumPy {versions['numpy']}{busy}. "
        f"`benchmarks/results/{result['name']}.json`</sub>"
    )


def simulated(result: Result, what: str) -> str:
    """The same for what ran in virtual time, where only a batch's costs were measured.

    Args:
        result: of the simulation.
        what: was simulated, how often.
    """
    return (
        f"<sub>{what}, in virtual time; a batch of ResNet-50 takes what it took in "
        f"`{result['parameters']['cost']}`; {when(result)}; {result['hardware']['cpu']}, "
        f"{result['hardware']['system']}. `benchmarks/results/{result['name']}.json`</sub>"
    )


def median(figures: Mapping[str, Any], figure: str) -> str:
    """The median of a figure."""
    return number(float(figures[figure]["median"]))


def milli(figures: Mapping[str, Any], figure: str) -> str:
    """The same in thousandths."""
    value = float(figures[figure]["median"]) / 1000
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def rate(figures: Mapping[str, Any]) -> str:
    """Requests per second, with their spread."""
    found = figures["requests_per_second"]
    middle, low, high = (_short(float(found[key])) for key in ("median", "min", "max"))
    return f"{middle} ({low} .. {high})"


def _short(rate: float) -> str:
    return f"{rate:.3g}" if rate < 1000 else f"{float(f'{rate:.3g}') / 1000:,.4g} k"


def times(ratio: Mapping[str, float]) -> str:
    """A ratio, with its spread."""
    middle, low, high = (_factor(ratio[key]) for key in ("median", "min", "max"))
    return f"{middle}× [{low} .. {high}]"


def _factor(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"
