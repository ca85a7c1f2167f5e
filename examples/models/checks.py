"""Measures the written models on held-out digits, and compares batched with alone, bit by bit."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from examples.digit_lines import (
    BLANK,
    WINDOW,
    FloatArray,
    IntArray,
    Line,
    decode,
    edit_distance,
    held_out,
    lines,
)

LINES: Final = 500
MOST_CHARACTER_ERRORS: Final = 0.03
FEWEST_RIGHT_PAIRS: Final = 0.96


class CheckFailed(Exception):
    """A model is worse than it must be."""


def check_all(folder: Path) -> None:
    """Checks the models of a folder and prints what was measured.

    Args:
        folder: Where `make_models.py` wrote them.

    Raises:
        CheckFailed: A model reads too badly, or a batched row differs from the row alone.
    """
    digits = folder / "digits_test.npz"
    line = open_session(folder / "digits_line.onnx")
    padded = open_session(folder / "digits_linew.onnx")
    samples = lines(LINES, path=digits)
    check_reading(line, samples)
    check_batched(line, samples)
    check_padded(line, padded)
    check_pairs(open_session(folder / "digits_pair.onnx"), *held_out(digits))
    check_gather(open_session(folder / "gather.onnx"))


def open_session(path: Path) -> Any:
    """An onnxruntime session on the CPU, silent about the failure that is provoked here."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def check_reading(session: Any, samples: Sequence[Line]) -> None:
    """Character errors over whole lines: edit distance by characters."""
    read = [decode(session.run(None, {"image": line.image[None]})[0][0]) for line in samples]
    wrong = sum(edit_distance(text, line.text) for text, line in zip(read, samples, strict=True))
    exact = sum(text == line.text for text, line in zip(read, samples, strict=True))
    characters = sum(len(line.text) for line in samples)
    rate = wrong / characters
    print(
        f"digits_line   {1 - rate:.2%} of {characters} characters right "
        f"({rate:.2%} errors), {exact}/{len(samples)} lines exact"
    )
    _require(rate <= MOST_CHARACTER_ERRORS, f"more than {MOST_CHARACTER_ERRORS:.1%} errors")


def check_batched(session: Any, samples: Sequence[Line]) -> None:
    """Rows of a batch of 16, all cut to one width, against the same rows alone."""
    wide = [line.image for line in samples if line.image.shape[-1] >= 64][:16]
    batch = np.stack([image[:, :, :64] for image in wide])
    together = session.run(None, {"image": batch})[0]
    alone = [session.run(None, {"image": row[None]})[0][0] for row in batch]
    _require(bool(np.array_equal(together, np.stack(alone))), "batch of 16 differs from alone")
    print("digits_line   batch of 16: bitwise equal to each row alone")


def check_padded(session: Any, padded_session: Any) -> None:
    """Batches of 32 of all widths from 27 to 124, padded with ink noise, against rows alone."""
    rng = np.random.default_rng(3)
    widths = np.arange(27, 125)
    rng.shuffle(widths)
    for start in range(0, len(widths), 32):
        batch_widths = np.resize(widths[start : start + 32], 32)
        image = rng.random((32, 1, WINDOW, batch_widths.max()), np.float32)
        _check_padded_batch(session, padded_session, image, batch_widths)
    print("digits_linew  padded batches of 32, W 27..124: bitwise equal to each row alone")


def _check_padded_batch(
    session: Any, padded_session: Any, image: FloatArray, widths: IntArray
) -> None:
    together = padded_session.run(None, {"image": image, "width": widths})[0]
    blank = np.eye(BLANK + 1, dtype=np.float32)[BLANK]
    for row, probs, width in zip(image, together, widths, strict=True):
        alone = session.run(None, {"image": row[None, :, :, :width]})[0][0]
        _require(bool(np.array_equal(probs[: len(alone)], alone)), f"W {width} differs from alone")
        _require(bool((probs[len(alone) :] == blank).all()), f"W {width}: padding is not blank")


def check_pairs(session: Any, images: FloatArray, labels: IntArray) -> None:
    """2,000 pairs of different images, half of one digit, half of two."""
    left, right = _pairs(labels, 2000, np.random.default_rng(5))
    flat = images.reshape(-1, WINDOW * WINDOW)
    same = session.run(None, {"left": flat[left], "right": flat[right]})[0]
    right_share = float(((same > 0.5) == (labels[left] == labels[right])).mean())
    print(f"digits_pair   {right_share:.2%} of {len(same)} pairs right")
    _require(right_share >= FEWEST_RIGHT_PAIRS, f"fewer than {FEWEST_RIGHT_PAIRS:.0%} right")


def _pairs(labels: IntArray, count: int, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
    """Indices of two different images for every pair; the first half shows one digit twice."""
    left, right = rng.integers(len(labels), size=(2, 40 * count))
    same = np.flatnonzero((labels[left] == labels[right]) & (left != right))[: count // 2]
    other = np.flatnonzero(labels[left] != labels[right])[: count // 2]
    chosen = np.concatenate([same, other])
    return left[chosen], right[chosen]


def check_gather(session: Any) -> None:
    """The right rows for good indices, a failure for a bad one."""
    rows = session.run(None, {"index": np.array([3, 15])})[0]
    _require(rows.tolist() == [[12, 13, 14, 15], [60, 61, 62, 63]], "gather: wrong rows")
    try:
        session.run(None, {"index": np.array([3, 16])})
    except Exception as error:
        # onnxruntime's errors have no common base class
        print(f"gather        index 16 fails ({type(error).__name__})")
    else:
        raise CheckFailed("gather: index 16 did not fail")


def _require(condition: bool, complaint: str) -> None:
    if not condition:
        raise CheckFailed(complaint)
