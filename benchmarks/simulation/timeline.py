"""How batches form, as a picture: the engine's own policy on a simulated device.

`python -m benchmarks.simulation.timeline` writes docs/pictures/batches.svg. The same arrivals give
the same picture, so a test checks the committed one against the current policy.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from benchmarks.report import ROOT
from benchmarks.simulation.arrivals import OpenLoop
from benchmarks.simulation.costs import linear
from benchmarks.simulation.ours import Ours
from benchmarks.simulation.scenarios import MS, QUIET, Scenario
from benchmarks.simulation.schedulers import Launch, Request
from benchmarks.simulation.world import World

PICTURE = ROOT / "docs" / "pictures" / "batches.svg"

MACHINE = Scenario(
    name="1.5 + 0.1 n ms, 2 streams",
    cost=linear(1.5 * MS, 0.1 * MS, 0.3),
    lanes=(0, 0),
    largest=16,
    slots=4,
    conditions=QUIET,
)
CROWDS = ((1.0, 1, 0.0), (7.0, 26, 5.0), (17.0, 24, 0.3))
"""Requests that come together: from which millisecond on, how many, within how many more."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
WIDTH, HEIGHT = 900, 268
LEFT, RIGHT = 96, 20
END = 24.0
ROWS = {"requests": 74, "stream 1": 118, "stream 2": 166}
BAR = 36
SIZE = 'font-family="Helvetica, Arial, sans-serif" font-size="14"'


@dataclass(slots=True)
class Block:
    """A batch: its requests, its stream, and from when to when (ms)."""

    launch: Launch
    begin: float
    end: float


class Recorded(Ours):
    """The policy, recording every batch that it makes."""

    def __init__(self, machine: Scenario):
        super().__init__(machine)
        self.blocks: list[Block] = []

    def finished(self, launch: Launch, now: float, seconds: float) -> None:
        self.blocks.append(Block(launch, (now - seconds) / MS, now / MS))
        super().finished(launch, now, seconds)


def batches() -> list[Block]:
    """What the policy makes of the crowds, in the order in which batches began."""
    chance = Random(7)
    times = sorted(
        (begin + within * chance.random()) * MS
        for begin, count, within in CROWDS
        for _ in range(count)
    )
    policy = Recorded(MACHINE)
    World(MACHINE, policy, OpenLoop(times), "timeline").run()
    return sorted(policy.blocks, key=lambda block: block.begin)


def drawn(blocks: list[Block]) -> str:
    """The picture, as SVG that a light and a dark page can show."""
    body = [*_frame(), *(line for each in enumerate(blocks) for line in _batch(*each))]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
            "<title>Requests over time, and the batches in which two streams run them</title>",
            *body,
            "</svg>\n",
        ]
    )


def _frame() -> Iterator[str]:
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#ffffff"/>'
    yield _text(
        16,
        30,
        "Requests over time, and the batches they ran in (same colour; number of rows)",
        weight="bold",
    )
    for name, top in ROWS.items():
        yield _text(16, top + 5, name)
        yield f'<path d="M{LEFT} {top}H{WIDTH - RIGHT}" stroke="#cccccc"/>'
    for time in range(0, int(END), 2):
        yield _text(_x(time), 210, f"{time} ms" if time else "0", anchor="middle", colour="#666666")
    for begin, words in zip(
        (crowd[0] for crowd in CROWDS),
        ("alone: starts at once", "busy: the next batch grows", "a crowd: full batches"),
        strict=True,
    ):
        yield _text(_x(begin) - 4, 246, f"↑ {words}")


def _batch(index: int, block: Block) -> Iterator[str]:
    colour = COLOURS[index % len(COLOURS)]
    for request in block.launch.requests:
        yield _dot(request, colour)
    top = ROWS[f"stream {block.launch.lane + 1}"] - BAR / 2
    left, right = _x(block.begin), _x(block.end)
    yield (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left - 1:.1f}" height="{BAR}" '
        f'rx="4" fill="{colour}"/>'
    )
    rows = str(len(block.launch.requests))
    yield _text((left + right) / 2, top + 23, rows, anchor="middle", colour="#ffffff")


def _dot(request: Request, colour: str) -> str:
    top = ROWS["requests"]
    x = _x(request.born / MS)
    return f'<path d="M{x:.1f} {top - 14}v28" stroke="{colour}" stroke-width="2.5"/>'


def _text(
    x: float,
    y: float,
    words: str,
    anchor: str = "start",
    colour: str = "#222222",
    weight: str = "normal",
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" {SIZE} font-weight="{weight}" text-anchor="{anchor}" '
        f'fill="{colour}">{words}</text>'
    )


def _x(time: float) -> float:
    return LEFT + time * (WIDTH - LEFT - RIGHT) / END


def main(path: Path = PICTURE) -> None:
    """Write the picture."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(drawn(batches()), encoding="utf-8")


if __name__ == "__main__":
    main()
