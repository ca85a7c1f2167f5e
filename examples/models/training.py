"""Trains the 8x8 window classifier on scikit-learn's handwritten digits.

scikit-learn is imported where it is used, so that the other models need only onnx and numpy.
"""

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from examples.digit_lines import BLANK, WINDOW, FloatArray, IntArray, compose, layout
from examples.models.graphs import Classifier

HELD_OUT_COUNT: Final = 500
HIDDEN: Final = 128

# chosen by three-fold cross-validation on the training digits
_LINES: Final = 2000
_BLANKS_PER_DIGIT: Final = 4
_BENT_PER_DIGIT: Final = 8
_STAGES: Final = ((2e-3, 14), (4e-4, 4), (8e-5, 2))  # learning rate, epochs


@dataclass(frozen=True, slots=True, eq=False)
class Digits:
    """Handwritten digits.

    Attributes:
        images: float32 [M, 8, 8], 0 (paper) to 1 (ink).
        labels: int64 [M], 0 to 9.
    """

    images: FloatArray
    labels: IntArray


def load() -> tuple[Digits, Digits]:
    """scikit-learn's 1,797 digits, cut at random into those to train on and those held out."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images = (data.images / 16).astype(np.float32)
    labels = data.target.astype(np.int64)
    order = np.random.default_rng(7).permutation(len(labels))
    held_out, train = order[:HELD_OUT_COUNT], order[HELD_OUT_COUNT:]
    return Digits(images[train], labels[train]), Digits(images[held_out], labels[held_out])


def save(path: Path, digits: Digits) -> None:
    """Writes digits as `digit_lines.held_out` reads them: uint8, 0 to 16."""
    np.savez_compressed(
        path,
        images=np.rint(digits.images * 16).astype(np.uint8),
        labels=digits.labels.astype(np.uint8),
    )


def train(digits: Digits) -> Classifier:
    """Learns to tell a window centred on a digit, and which, from any other window.

    Args:
        digits: What the training lines are composed of.
    """
    from sklearn.neural_network import MLPClassifier

    rng = np.random.default_rng(1)
    windows, classes = _windows(_with_bent(digits, rng), rng)
    network = MLPClassifier((HIDDEN,), alpha=1e-3, batch_size=128, random_state=0, warm_start=True)
    with _one_thread(), _fixed_epochs():
        for rate, epochs in _STAGES:
            network.set_params(learning_rate_init=rate, max_iter=epochs)
            network.fit(windows, classes)
    (w1, w2), (b1, b2) = network.coefs_, network.intercepts_
    return Classifier(*(array.astype(np.float32) for array in (w1, b1, w2, b2)))


def _one_thread() -> AbstractContextManager[object]:
    """Keeps BLAS to one thread: several are slower here, and their number could change the bits."""
    # by name, as it has no types; scikit-learn brings it along
    limit: AbstractContextManager[object] = import_module("threadpoolctl").threadpool_limits(1)
    return limit


@contextmanager
def _fixed_epochs() -> Iterator[None]:
    """Hides the warning that training stopped before it converged: that is wanted here."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def _windows(digits: Digits, rng: np.random.Generator) -> tuple[FloatArray, IntArray]:
    """Windows of random lines, float32 [K, 64], with faint noise, and their classes, int64 [K]."""
    pairs = [_line_windows(digits, rng) for _ in range(_LINES)]
    windows = np.concatenate([windows for windows, _ in pairs])
    classes = np.concatenate([classes for _, classes in pairs])
    windows = windows * rng.uniform(0.8, 1.2, (len(windows), 1)) + rng.normal(0, 0.1, windows.shape)
    return np.clip(windows, 0, 1.2).astype(np.float32), classes


def _line_windows(digits: Digits, rng: np.random.Generator) -> tuple[FloatArray, IntArray]:
    """All windows of one random line that are centred on a digit, and some that are not."""
    chosen = rng.integers(len(digits.labels), size=rng.integers(3, 12, endpoint=True))
    starts, width = layout(len(chosen), rng)
    line = compose(digits.images[chosen], starts, width)
    windows = sliding_window_view(line[0], (WINDOW, WINDOW))[0].reshape(-1, WINDOW * WINDOW)

    elsewhere = np.setdiff1d(np.arange(len(windows)), starts)
    wanted = min(len(elsewhere), _BLANKS_PER_DIGIT * len(starts))
    elsewhere = rng.choice(elsewhere, wanted, replace=False)
    classes = np.concatenate([digits.labels[chosen], np.full(wanted, BLANK)])
    return windows[np.concatenate([starts, elsewhere])], classes


def _with_bent(digits: Digits, rng: np.random.Generator) -> Digits:
    """The digits and, of each, copies slightly turned, stretched, slanted and moved."""
    images = np.repeat(digits.images, _BENT_PER_DIGIT, axis=0)
    labels = np.repeat(digits.labels, _BENT_PER_DIGIT)
    return Digits(
        np.concatenate([digits.images, _bend(images, rng)]),
        np.concatenate([digits.labels, labels]),
    )


def _bend(images: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Applies a small random affine map to each image, float32 [M, 8, 8]."""
    count = len(images)
    turn, slant = rng.normal(0, 0.1, count), rng.normal(0, 0.08, count)
    scale, shift = np.exp(rng.normal(0, 0.05, (2, count))), rng.normal(0, 0.15, (2, count))
    centre = (WINDOW - 1) / 2
    row, column = (np.indices((WINDOW, WINDOW)) - centre)[:, None]

    def spread(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return values[:, None, None]

    y, x = row * spread(scale[0]), column * spread(scale[1])
    x = x + y * spread(slant)
    turned_y = y * spread(np.cos(turn)) - x * spread(np.sin(turn))
    turned_x = y * spread(np.sin(turn)) + x * spread(np.cos(turn))
    return _sample(
        images, turned_y + centre + spread(shift[0]), turned_x + centre + spread(shift[1])
    )


def _sample(
    images: FloatArray, y: npt.NDArray[np.float64], x: npt.NDArray[np.float64]
) -> FloatArray:
    """Bilinear look-up at pixel positions y, x, each float64 [M, 8, 8]; 0 outside the image."""
    padded = np.pad(images, ((0, 0), (1, 2), (1, 2)))
    y, x = np.clip(y + 1, 0, WINDOW + 1), np.clip(x + 1, 0, WINDOW + 1)
    top, left = y.astype(int), x.astype(int)
    down, right = y - top, x - left
    which = np.arange(len(images))[:, None, None]
    upper = padded[which, top, left] * (1 - right) + padded[which, top, left + 1] * right
    lower = padded[which, top + 1, left] * (1 - right) + padded[which, top + 1, left + 1] * right
    bent: FloatArray = (upper * (1 - down) + lower * down).astype(np.float32)
    return bent
