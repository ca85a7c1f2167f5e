"""Pages of handwritten digits at random places for `models/digits_page.onnx`: compose, compare.

The digits are the held-out ones, as in `digit_lines`. Images are float32, 0 (paper) to 1 (ink).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from examples.digit_lines import WINDOW, FloatArray, IntArray, held_out

Digits = dict[tuple[int, int], str]
"""Digits by the row and column of their upper left corner."""

HEIGHT: Final = 48
WIDTH: Final = 64
"""Of a page, in pixels."""

_APART: Final = 12
"""Corners of two digits differ by this at least, in rows or in columns: the finder's kernel."""
_TRIES: Final = 40
_GRAIN: Final = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """One page.

    Attributes:
        image: float32 [1, 48, 64].
        digits: What was put there.
    """

    image: FloatArray
    digits: Digits


def pages(count: int, seed: int = 0) -> list[Page]:
    """Composes pages of about eight digits each, the same ones for the same arguments.

    Args:
        count: How many pages.
        seed: Of the random choice of digits, places and grain of the paper.
    """
    rng = np.random.default_rng(seed)
    return [_page(rng) for _ in range(count)]


def right(page: Page, read: Digits) -> int:
    """How many digits were found, at most one column beside their place, and read rightly."""
    return sum(
        any(read.get((row, column + beside)) == digit for beside in (-1, 0, 1))
        for (row, column), digit in page.digits.items()
    )


def _page(rng: np.random.Generator) -> Page:
    images, labels = held_out()
    image = rng.normal(0, _GRAIN, (1, HEIGHT, WIDTH)).astype(np.float32)
    digits: Digits = {}
    for row, column in _places(rng):
        chosen = rng.integers(len(labels))
        image[0, row : row + WINDOW, column : column + WINDOW] += images[chosen]
        digits[row, column] = str(labels[chosen])
    return Page(image.clip(0, 1), digits)


def _places(rng: np.random.Generator) -> list[tuple[int, int]]:
    """Random corners, each far enough from those before it."""
    ends = HEIGHT - WINDOW, WIDTH - WINDOW
    tried: IntArray = rng.integers(ends, size=(_TRIES, 2), endpoint=True)
    kept: list[tuple[int, int]] = []
    for row, column in tried.tolist():
        if all(max(abs(row - y), abs(column - x)) >= _APART for y, x in kept):
            kept.append((row, column))
    return kept
