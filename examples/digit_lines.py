"""Lines of handwritten digits for `models/digits_line.onnx`: compose, decode, draw, compare.

The digits are the held-out ones of `models/digits_test.npz`: the models never saw them in training.
Images are float32, 0 (paper) to 1 (ink).
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

BLANK: Final = 10
"""The class for "no digit is centred here"; classes 0 to 9 are the digits."""
WINDOW: Final = 8
"""Height of a line, and width of the window the reader slides over it, in pixels."""
HELD_OUT: Final = Path(__file__).parent / "models" / "digits_test.npz"

# between 28 and 124 columns with 3 to 12 digits
_MARGIN: Final = (2, 3)
_GAP: Final = (0, 2)

# Both chosen by cross-validation on the training digits. Two digits are never closer than WINDOW:
# one less lets a peak be off by a column. Few false peaks fit in between, hence the low bar.
_PEAK_DISTANCE: Final = WINDOW - 1
_LEAST_INK: Final = 0.2
_SHADES: Final = " .:-=+*#%@"
_FIRST_GREY: Final = 232  # of the 24 greys that end the 256-colour palette


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One line of digits.

    Attributes:
        image: float32 [1, 8, W], 0 (paper) to 1 (ink).
        text: The digits that were put there.
    """

    image: FloatArray
    text: str


@cache
def held_out(path: Path = HELD_OUT) -> tuple[FloatArray, IntArray]:
    """The held-out digits.

    Args:
        path: An `.npz` file with `images` uint8 [M, 8, 8], 0 to 16, and `labels` uint8 [M].

    Returns:
        Images float32 [M, 8, 8], 0 to 1, and labels int64 [M]; both read-only.
    """
    with np.load(path) as data:
        images = data["images"].astype(np.float32) / np.float32(16)
        labels = data["labels"].astype(np.int64)
    images.setflags(write=False)
    labels.setflags(write=False)
    return images, labels


def lines(
    count: int, seed: int = 0, *, digits: tuple[int, int] = (3, 12), path: Path = HELD_OUT
) -> list[Line]:
    """Composes lines of held-out digits, the same ones for the same arguments.

    Args:
        count: How many lines.
        seed: Of the random choice of digits and gaps.
        digits: Fewest and most digits in a line. (3, 12) gives W from 28 to 124.
        path: The digits to take, see `held_out`.

    Returns:
        The lines, of mixed width.
    """
    images, labels = held_out(path)
    rng = np.random.default_rng(seed)
    return [_line(images, labels, digits, rng) for _ in range(count)]


def _line(
    images: FloatArray, labels: IntArray, digits: tuple[int, int], rng: np.random.Generator
) -> Line:
    chosen = rng.integers(len(labels), size=rng.integers(*digits, endpoint=True))
    starts, width = layout(len(chosen), rng)
    text = "".join(str(label) for label in labels[chosen])
    return Line(compose(images[chosen], starts, width), text)


def layout(count: int, rng: np.random.Generator) -> tuple[IntArray, int]:
    """Random places for digits, with a margin at both ends and gaps between.

    Args:
        count: How many digits, at least 1.
        rng: Where the randomness comes from.

    Returns:
        The first column of every digit, int64 [count], and the width of the line in columns.
    """
    gaps = rng.integers(*_GAP, size=count, endpoint=True)
    gaps[0], margin = rng.integers(*_MARGIN, size=2, endpoint=True)
    starts = np.cumsum(gaps + WINDOW) - WINDOW
    return starts, int(starts[-1] + WINDOW + margin)


def compose(images: FloatArray, starts: IntArray, width: int) -> FloatArray:
    """Puts digits side by side.

    Args:
        images: float32 [count, 8, 8].
        starts: First column of each, int64 [count].
        width: Of the whole line, in columns.

    Returns:
        The line, float32 [1, 8, width].
    """
    line = np.zeros((1, WINDOW, width), np.float32)
    for image, start in zip(images, starts, strict=True):
        line[0, :, start : start + WINDOW] = image
    return line


def decode(probs: FloatArray) -> str:
    """Reads the digits off the reader's output, by picking peaks.

    The surest position wins, then the next surest that is not too near to one already taken; what
    is almost surely blank is never taken. So blank padding at the end changes nothing.

    Args:
        probs: Probabilities for every position of the window, float32 [T, 11].

    Returns:
        The digits, left to right.
    """
    ink = 1 - probs[:, BLANK]
    peaks: list[int] = []
    for position in np.argsort(-ink, kind="stable").tolist():
        if ink[position] < _LEAST_INK:
            break
        if all(abs(position - peak) >= _PEAK_DISTANCE for peak in peaks):
            peaks.append(position)
    return "".join(str(probs[peak, :BLANK].argmax()) for peak in sorted(peaks))


def edit_distance(a: str, b: str) -> int:
    """The fewest insertions, deletions and replacements of a character that turn `a` into `b`."""
    above = list(range(len(b) + 1))
    for row, left in enumerate(a, 1):
        here = [row]
        for column, right in enumerate(b, 1):
            replaced = above[column - 1] + (left != right)
            here.append(min(above[column] + 1, here[-1] + 1, replaced))
        above = here
    return above[-1]


def picture(image: FloatArray, *, color: bool = False) -> str:
    """Draws a line for a terminal, W characters wide and 4 rows high.

    Args:
        image: float32 [1, 8, W], 0 (paper) to 1 (ink).
        color: With half-block characters in the greys of the 256-colour palette, so that every
            pixel shows; else in plain ASCII, a character for two pixels one above the other.

    Returns:
        Rows joined by newlines, none at the end.
    """
    upper, lower = image[0, 0::2], image[0, 1::2]
    row = _grey_row if color else _ascii_row
    return "\n".join(row(*pair) for pair in zip(upper, lower, strict=True))


def _ascii_row(upper: FloatArray, lower: FloatArray) -> str:
    shades = _levels((upper + lower) / np.float32(2), len(_SHADES))
    return "".join(_SHADES[shade] for shade in shades)


def _grey_row(upper: FloatArray, lower: FloatArray) -> str:
    row, before = "", None
    for greys in zip(_levels(upper, 24), _levels(lower, 24), strict=True):
        if greys != before:
            above, below = (_FIRST_GREY + grey for grey in greys)
            row += f"\x1b[38;5;{above};48;5;{below}m"
        row, before = row + "▀", greys
    return row + "\x1b[0m"


def _levels(values: FloatArray, count: int) -> list[int]:
    """Numbers 0 to 1 as whole levels 0 to `count` - 1."""
    levels: list[int] = np.clip(np.rint(values * (count - 1)), 0, count - 1).astype(int).tolist()
    return levels
