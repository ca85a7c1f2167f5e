"""Pictures in SVG, which take their colours from the page."""

from collections.abc import Mapping, Sequence

from trtasync.server.dashboard.figures import number, share
from trtasync.server.dashboard.markup import Markup, element

WIDTH, HEIGHT = 300, 60


def curve(title: str, points: Sequence[tuple[float, float]]) -> Markup:
    """A curve over time, from zero to its highest point.

    Args:
        title: what is shown.
        points: times in seconds, ascending, and values.
    """
    top = max((value for _, value in points), default=0.0)
    begin, end = (points[0][0], points[-1][0]) if points else (0.0, 0.0)
    caption = element("figcaption", title, element("span", f"peak {number(top)}"))
    if end <= begin:
        return element(
            "figure", caption, element("p", "Drawn while this page is open.", class_="note")
        )
    places = [
        f"{(time - begin) / (end - begin) * WIDTH:.1f},{HEIGHT - value / (top or 1) * HEIGHT:.1f}"
        for time, value in points
    ]
    area = f"0,{HEIGHT} {' '.join(places)} {WIDTH},{HEIGHT}"
    picture = element(
        "svg",
        element("polygon", points=area),
        element("polyline", points=" ".join(places), vector_effect="non-scaling-stroke"),
        viewBox=f"0 -2 {WIDTH} {HEIGHT + 2}",
        preserveAspectRatio="none",
        role="img",
        aria_label=f"{title}: peak {number(top)} in {number(end - begin)} s",
    )
    return element("figure", caption, picture)


def sizes(often: Mapping[int, int]) -> Markup:
    """How often batches had how many rows, in ranges that double."""
    ranges: dict[int, int] = {}
    for size, times in often.items():
        exponent = (size - 1).bit_length()
        ranges[exponent] = ranges.get(exponent, 0) + times
    total, most = sum(ranges.values()), max(ranges.values(), default=0)
    lines = [
        element(
            "tr",
            element("th", _range(exponent), scope="row"),
            element("td", _bar(times / most), class_="bar"),
            element("td", share(times / total)),
        )
        for exponent, times in sorted(ranges.items())
    ]
    caption = element("figcaption", "Rows in a batch", element("span", f"{number(total)} batches"))
    body = element("table", element("tbody", *lines)) if lines else element("p", "None yet.")
    return element("figure", caption, body)


def _range(exponent: int) -> str:
    most, least = 2**exponent, 2 ** (exponent - 1) + 1
    return str(most) if exponent < 2 else f"{least}\N{EN DASH}{most}"


def _bar(part: float) -> Markup:
    bar = element("rect", width=f"{part * 100:.1f}", height=10)
    return element("svg", bar, viewBox="0 0 100 10", preserveAspectRatio="none", aria_hidden="true")
