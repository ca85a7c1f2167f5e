"""The models of the gallery that nothing is trained for: written in ONNX's own text form."""

from pathlib import Path
from typing import Final

import numpy as np
from onnx import checker, numpy_helper, parser

BUCKETS: Final = 512
"""Trigrams are told apart by their hash, modulo this; 0 is no trigram."""
LENGTH: Final = 64

_TEXTS = """
    <ir_version: 9, opset_import: ["": 17],
     producer_name: "trtasync-examples", producer_version: "1">
    texts (int64[N, T] trigrams) => (float[N, LENGTH] embedding)
        <int64[1] along = {1}, float tiny = {1e-12}> {
        halves = Gather(table, trigrams)
        vectors = Cast<to = 1>(halves)
        sum = ReduceSum<keepdims = 0>(vectors, along)
        squares = Mul(sum, sum)
        square = ReduceSum(squares, along)
        length = Sqrt(square)
        divisor = Max(length, tiny)
        embedding = Div(sum, divisor)
    }
"""

_VOICE = """
    <ir_version: 9, opset_import: ["": 17],
     producer_name: "trtasync-examples", producer_version: "1">
    voice (float[N, 256] sound, float[N] floor) => (float[N] probability, float[N] next_floor)
        <float tiny = {1e-10}, float rise = {0.02}, float above = {2.0},
         float steep = {3.0}> {
        squares = Mul(sound, sound)
        power = ReduceMean<axes = [1], keepdims = 0>(squares)
        heard = Add(power, tiny)
        loudness = Log(heard)
        risen = Add(floor, rise)
        next_floor = Min(loudness, risen)
        over = Sub(loudness, next_floor)
        surplus = Sub(over, above)
        scaled = Mul(surplus, steep)
        probability = Sigmoid(scaled)
    }
"""

_PAGE = """
    <ir_version: 9, opset_import: ["": 17],
     producer_name: "trtasync-examples", producer_version: "1">
    page (float[N, 1, 48, 64] page)
        => (float[N, 16] score, int64[N, 16, 2] corner, float[N, 16, 1, 8, 12] crops)
        <float none = {0}, int64[1] best = {16}, int64[2] places = {0, 2337},
         int64[1] along = {2}, int64 across = {57}, int64 further = {11},
         int64[8] margin = {0, 0, 0, 2, 0, 0, 0, 2}, int64[2] pixels = {0, 3264},
         int64[2] picked = {0, 1536}, int64[5] cut = {0, 16, 1, 8, 12}> {
        fit = Conv<pads = [2, 2, 2, 2]>(page, kernel)
        around = MaxPool<kernel_shape = [13, 13], pads = [6, 6, 6, 6]>(fit)
        is_peak = Equal(fit, around)
        digit = ThresholdedRelu<alpha = 5.0>(fit)
        peaks = Where(is_peak, digit, none)
        flat = Reshape(peaks, places)
        score, place = TopK<axis = 1>(flat, best)
        row = Div(place, across)
        column = Mod(place, across)
        rows = Unsqueeze(row, along)
        columns = Unsqueeze(column, along)
        corner = Concat<axis = 2>(rows, columns)
        skipped = Mul(row, further)
        first = Add(place, skipped)
        firsts = Unsqueeze(first, along)
        windows = Add(firsts, window)
        wanted = Reshape(windows, picked)
        wide = Pad(page, margin)
        ink = Reshape(wide, pixels)
        found = GatherElements<axis = 1>(ink, wanted)
        crops = Reshape(found, cut)
    }
"""


def write_page(path: Path) -> None:
    """Writes a finder of digits: page float32 [N, 1, 48, 64] -> the 16 best places, best first.

    Outputs are score float32 [N, 16], 0 where there is none; corner int64 [N, 16, 2], row and
    column; crops float32 [N, 16, 1, 8, 12], two columns wider on both sides than a digit.
    The score is highest where all ink lies in eight rows and near the middle of their columns. It
    has to be the highest of the 13x13 places around: digits have 10 and more, grain has 2 and less.

    Args:
        path: The file to write.
    """
    model = parser.parse_model(_PAGE)
    off = np.arange(12) - 5.5
    kernel = np.where(abs(off) < 4, 1, -1)[:, None] - (off / 6) ** 2
    kernel -= kernel.mean()  # paper with an even tone scores 0
    window = 68 * np.arange(8)[:, None] + np.arange(12)
    model.graph.initializer.extend(
        [
            numpy_helper.from_array(kernel.astype(np.float32)[None, None], "kernel"),
            numpy_helper.from_array(window.reshape(1, 1, 96), "window"),
        ]
    )
    checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def write_texts(path: Path, seed: int = 0) -> None:
    """Writes text embeddings: trigrams int64 [N, T] -> embedding float32 [N, 64] of length 1.

    Counts of trigrams, projected at random, which keeps angles (Johnson and Lindenstrauss, 1984).
    The vector of trigram 0 is zero, so that padding with it changes nothing.

    Args:
        path: The file to write.
        seed: Of the projection.
    """
    model = parser.parse_model(_TEXTS.replace("LENGTH", str(LENGTH)))
    signs = np.random.default_rng(seed).choice([-1, 1], (BUCKETS + 1, LENGTH))
    signs[0] = 0
    table = numpy_helper.from_array(signs.astype(np.float16), "table")
    model.graph.initializer.append(table)
    checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def write_voice(path: Path) -> None:
    """Writes a voice detector with a state: sound float32 [N, 256], floor float32 [N] -> both next.

    A frame is voice where it is louder than the noise: the floor, in nepers of power, follows the
    quietest frames at once and louder ones slowly. It goes in and comes out with each frame.

    Args:
        path: The file to write.
    """
    model = parser.parse_model(_VOICE)
    checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))
