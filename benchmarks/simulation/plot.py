"""The comparison as a picture: p50, p99 and goodput over load, a column per arrival process."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.simulation.study import EAGER, OURS
from benchmarks.simulation.verdict import FIGURES, Summary

BEST = "best fixed delay"
# Okabe and Ito's colours, told apart by the colour-blind; markers differ too.
STYLES: dict[str, dict[str, Any]] = {
    "no batching": {"color": "#999999", "marker": "x"},
    EAGER: {"color": "#56B4E9", "marker": "v"},
    "Triton's rule": {"color": "#E69F00", "marker": "s"},
    "BentoML": {"color": "#CC79A7", "marker": "D"},
    "deferred": {"color": "#009E73", "marker": "^"},
    BEST: {"color": "#D55E00", "marker": "o", "linestyle": "--", "linewidth": 1.8},
    OURS: {"color": "#000000", "marker": "*", "linewidth": 2.2, "markersize": 8},
}
LABELS = {
    "p50": "p50 latency, ms",
    "p99": "p99 latency, ms",
    "goodput": "in time, share of the load",
}


def draw(points: Sequence[Summary], rate: float, title: str, path: Path) -> None:
    """Draw one machine's points.

    Args:
        points: that machine's.
        rate: requests per second at a load of 1.
        title: what it is.
        path: a PNG.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    processes = list(dict.fromkeys(point["process"] for point in points))
    figure, axes = plt.subplots(
        3,
        len(processes),
        figsize=(3.6 * len(processes), 9),
        sharex=True,
        sharey="row",
        squeeze=False,
        layout="constrained",
    )
    for column, process in enumerate(processes):
        mine = [point for point in points if point["process"] == process]
        loads = [100 * point["load"] for point in mine]
        axes[0][column].set_title(process)
        axes[2][column].set_xlabel("load, % of capacity")
        for row, name in enumerate(FIGURES):
            axis = axes[row][column]
            for policy, style in STYLES.items():
                values = [_value(point, policy, name, rate) for point in mine]
                axis.plot(
                    loads, values, label=policy, **{"markersize": 5, "linewidth": 1.1} | style
                )
            axis.grid(alpha=0.3)
            if name != "goodput":
                axis.set_yscale("log")
            if column == 0:
                axis.set_ylabel(LABELS[name])
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    figure.suptitle(title)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _value(point: Summary, policy: str, figure: str, rate: float) -> float:
    """The value in milliseconds, or as a fraction of the load."""
    found = point[BEST][figure]["value"] if policy == BEST else point["policies"][policy][figure]
    median = float(found["median"])
    if figure != "goodput":
        return median * 1e3
    return median / (float(point["load"]) * rate)
