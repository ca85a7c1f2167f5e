"""Numbers for people: three digits, and a unit that suits them."""

import math

NOTHING = "\N{EN DASH}"
"""Stands where there is no number."""

_LARGE = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_SHORT = ((1.0, "s"), (1e-3, "ms"), (0.0, "µs"))


def number(value: float | None) -> str:
    """E.g. "0", "12.3", "4,567", "1.23 M"."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if value < 10_000:
        return f"{value:,.0f}" if value >= 100 else _short(value)
    size, unit = next(each for each in _LARGE if value >= each[0])
    return f"{_short(value / size)} {unit}"


def duration(seconds: float) -> str:
    """E.g. "1.26 ms"."""
    if math.isnan(seconds):
        return NOTHING
    if math.isinf(seconds):
        return "> 100 s"
    unit, name = next(each for each in _SHORT if seconds >= each[0])
    return f"{_short(seconds / (unit or 1e-6))} {name}"


def share(part: float | None) -> str:
    """E.g. "12 %"."""
    return NOTHING if part is None else f"{part:.0%}".replace("%", " %")


def _short(value: float) -> str:
    """Three digits, and no zeros behind them."""
    text = f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
