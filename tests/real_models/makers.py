"""Natural requests of each kind of model, as makers from chance and a length."""

from collections.abc import Callable

import numpy as np

from tests.judging.oracles import Feed
from tests.real_models.inputs import (
    RATE,
    Random,
    features,
    image_first,
    picture,
    spectrum,
    speech,
    tokens,
    writing,
    zeros,
)

Maker = Callable[[Random, int], Feed]
"""From chance and a length (0 for models without one) to a request."""


def line_of_text(height: int, channels: int, name: str) -> Maker:
    """A scanned line as wide as the length says, from -1 to 1."""

    def make(random: Random, width: int) -> Feed:
        return {name: writing(random, height, width, channels)[np.newaxis] * 2 - 1}

    return make


def photograph(name: str, height: int, width: int, scale: float = 1.0) -> Maker:
    """Channels first."""

    def make(random: Random, _: int) -> Feed:
        return {name: image_first(picture(random, height, width)) * np.float32(scale)}

    return make


def photograph_last(name: str, height: int, width: int, scale: float = 1.0) -> Maker:
    """Channels last, as TensorFlow likes them."""

    def make(random: Random, _: int) -> Feed:
        return {name: picture(random, height, width)[np.newaxis] * np.float32(scale)}

    return make


def faces(random: Random, _: int) -> Feed:
    faces = [image_first(picture(random, 32, 32)) for _ in range(10)]
    return {"input.1": np.concatenate(faces) * np.float32(255)}


def file_content(random: Random, _: int) -> Feed:
    """Beginning and end of a file: text, padded with the token 256."""
    content = np.full((1, 2048), 256, np.int32)
    size = int(random.integers(64, 1024))
    content[0, :size] = random.integers(32, 127, size)
    content[0, 1024 : 1024 + size] = random.integers(32, 127, size)
    return {"bytes": content}


def voice(name: str, samples: int = 0, *, last: bool = False, scale: float = 1.0) -> Maker:
    """So many samples (else as the length says), with a last axis of one channel or without."""

    def make(random: Random, length: int) -> Feed:
        heard = speech(random, samples or length)[np.newaxis] * np.float32(scale)
        return {name: heard[..., np.newaxis] if last else heard}

    return make


def pitch(random: Random, length: int) -> Feed:
    low, high = np.array(46.875, np.float32), np.array(2093.75, np.float32)
    return {"audio": speech(random, length)[np.newaxis], "fmin": low, "fmax": high}


def energies(name: str, *shape: int) -> Maker:
    """Features of sound, one row."""

    def make(random: Random, _: int) -> Feed:
        return {name: spectrum(random, 1, *shape)}

    return make


def echo(state: int) -> Maker:
    """Near end, far end and what was sent, as spectra, with a state of so many numbers."""

    def make(random: Random, length: int) -> Feed:
        return {"input": spectrum(random, 1, 3, length, 160), "h0": zeros(4, 1, state)}

    return make


def lost_packets(random: Random, length: int) -> Feed:
    rater = random.standard_normal((1, 64)).astype(np.float32)
    return {"degraded_audio": spectrum(random, 1, 1, length, 257), "rater_embed": rater}


def vad(samples: int, *, rate: bool = True, width: int = 128) -> Maker:
    """A chunk of speech and the state after some other speech, which nobody else's may touch."""

    def make(random: Random, _: int) -> Feed:
        state = 0.1 * random.standard_normal((2, 1, width))
        feed = {"input": speech(random, samples)[np.newaxis], "state": state.astype(np.float32)}
        return feed | ({"sr": np.array(RATE)} if rate else {})

    return make


def vad_of_two_states(random: Random, _: int) -> Feed:
    h, c = 0.1 * random.standard_normal((2, 2, 1, 64)).astype(np.float32)
    return {"input": speech(random, 512)[np.newaxis], "sr": np.array(RATE), "h": h, "c": c}


def vad_of_chunks(random: Random, length: int) -> Feed:
    """A whole recording, cut into chunks: time lies along the first axis."""
    chunks = speech(random, 576 * length).reshape(length, 576)
    return {"input": chunks, "h": zeros(1, 1, 128), "c": zeros(1, 1, 128)}


def vad_with_context(random: Random, _: int) -> Feed:
    return {"audio_with_context": speech(random, 576)[np.newaxis], "h": zeros(1, 1, 128)}


def vad_with_caches(random: Random, length: int) -> Feed:
    caches = {f"in_cache{index}": zeros(1, 128, 19, 1) for index in range(4)}
    return {"speech": spectrum(random, 1, length, 400), **caches}


def name(random: Random, length: int) -> Feed:
    """A name in letters; the mask says which are none."""
    return {"src": tokens(random, 4, 40, length), "src_mask": np.zeros((1, length), bool)}


def name_so_far(random: Random, length: int) -> Feed:
    memory = random.standard_normal((1, length, 256)).astype(np.float32)
    hidden = random.standard_normal((1, 2, 256)).astype(np.float32)
    mask = np.zeros((1, length), bool)
    prefix = tokens(random, 4, 60, 3)
    return {"prefix": prefix, "memory": memory, "src_mask": mask, "hidden": hidden}


def letters(name: str, high: int) -> Maker:
    """A sentence, letter by letter."""

    def make(random: Random, length: int) -> Feed:
        return {name: tokens(random, 1, high, length)}

    return make


def vowelled(random: Random, length: int) -> Feed:
    """Letters, the signs known so far, and how many count."""
    letters, signs = tokens(random, 1, 36, length), np.zeros((1, length), np.int64)
    return {"char_inputs": letters, "diac_inputs": signs, "input_lengths": np.array([length])}


def sentence(*, types: bool) -> Maker:
    """Word pieces with a mask of ones."""

    def make(random: Random, length: int) -> Feed:
        ids, ones = tokens(random, 1000, 20_000, length), np.ones((1, length), np.int64)
        ids[0, 0], ids[0, -1] = 101, 102
        feed = {"input_ids": ids, "attention_mask": ones}
        return feed | ({"token_type_ids": np.zeros_like(ones)} if types else {})

    return make


def one_voice_of_many(random: Random, length: int) -> Feed:
    speaker = random.standard_normal((1, 256)).astype(np.float32)
    return {
        "stacked_logmel": spectrum(random, 1, length, 512),
        "dvec": speaker / np.linalg.norm(speaker),
        "h0": zeros(3, 1, 512),
        "c0": zeros(3, 1, 512),
    }


def table(name: str, count: int, dtype: type = np.float64) -> Maker:
    def make(random: Random, _: int) -> Feed:
        return {name: features(random, count, dtype)}

    return make


def signals(random: Random, length: int) -> Feed:
    return {"x": (random.random((1, 15, length)) < 0.2).astype(np.float32)}
