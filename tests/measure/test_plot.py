"""What a plot writes can be read: names lie inside the frame, ticks beside each other."""

import itertools
from typing import Any

import pytest

from trtasync.measure import Closed, Report
from trtasync.measure.plot import _curves, _figure, rates
from trtasync.measure.report import Point


def at(load: Closed, rate: float) -> Point:
    """A load that was measured at this many requests per second."""
    figures = {"requests_per_second": rate, "latency_p50_us": 80.0, "latency_p99_us": 900.0}
    spreads: Any = {
        name: {"median": each, "min": each, "max": each} for name, each in figures.items()
    }
    return Point(load, spreads, {}, [(0.5, 80.0)])


@pytest.mark.parametrize("most", [12.0, 95_000.0, 2_500_000.0])
@pytest.mark.parametrize("ceiling", [None, 1.5])
def test_names_of_points_are_inside_the_frame_and_beside_the_legend(
    most: float, ceiling: float | None
) -> None:
    figure = _figure()(figsize=(11, 4.6), layout="constrained")
    left, _ = figure.subplots(1, 2)
    points = [at(Closed(1), most / 5), at(Closed(100_000), most)]
    yardsticks = {} if ceiling is None else {"ceiling": [{"rows_per_second": most * ceiling}]}
    _curves(left, points, Report("m", "b", {}, {"rows": 1}, [], yardsticks))
    figure.draw_without_rendering()
    frame, legend = left.get_window_extent(), left.get_legend().get_window_extent()
    names = [each.get_window_extent() for each in left.texts]
    assert len(names) == 2
    assert all(each.x1 < frame.x1 and not each.overlaps(legend) for each in names)
    assert not legend.overlaps(left.xaxis.label.get_window_extent())
    assert legend.y0 >= 0


@pytest.mark.parametrize("most", [3.0, 12_345.0, 220_000.0, 1_900_000.0])
def test_ticks_of_rates_do_not_touch(most: float) -> None:
    figure = _figure()(figsize=(11, 4.6), layout="constrained")
    left, _ = figure.subplots(1, 2)
    left.plot([0, most], [1, 2])
    rates(left.xaxis)
    figure.draw_without_rendering()
    shown = [each.get_window_extent() for each in left.get_xticklabels()]
    assert len(shown) > 2
    assert all(a.x1 + 4 < b.x0 for a, b in itertools.pairwise(shown))
