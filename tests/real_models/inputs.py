"""Natural inputs: what a microphone, a camera, a scanner or a tokenizer hands to a model."""

import numpy as np
import numpy.typing as npt

from tests.judging.oracles import Array

Random = np.random.Generator

RATE = 16_000


def speech(random: Random, samples: int) -> npt.NDArray[np.float32]:
    """Voiced syllables with pauses over a little noise, some 30 dB louder than others."""
    time = np.arange(samples) / RATE
    pitch = random.uniform(90, 250) * (1 + 0.1 * np.sin(2 * np.pi * random.uniform(2, 5) * time))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    voice = sum(np.sin(harmonic * phase) / harmonic for harmonic in range(1, 12))
    syllables = np.clip(
        np.sin(2 * np.pi * random.uniform(2, 5) * time + random.uniform(0, 6)), 0, 1
    )
    loudness = 10 ** random.uniform(-1.75, -0.25)
    noise = 0.003 * random.standard_normal(samples)
    return (loudness * (0.3 * voice * syllables + noise)).astype(np.float32)


def picture(random: Random, height: int, width: int, channels: int = 3) -> npt.NDArray[np.float32]:
    """Soft light with some rectangles on it, height x width x channels, from 0 to 1."""
    rows, columns = np.mgrid[0:height, 0:width]
    light = 0.6 + 0.3 * np.sin(rows / height * 3 + random.uniform(0, 6)) * np.cos(
        columns / width * 3
    )
    image = light[..., np.newaxis] * random.uniform(0.5, 1, channels)
    for _ in range(8):
        top, left = random.integers(0, height * 3 // 4), random.integers(0, width * 3 // 4)
        bottom, right = top + random.integers(4, height // 3), left + random.integers(4, width // 3)
        image[top:bottom, left:right] = random.uniform(0, 1, channels)
    image += 0.02 * random.standard_normal(image.shape)
    clipped: npt.NDArray[np.float32] = np.clip(image, 0, 1).astype(np.float32)
    return clipped


def writing(random: Random, height: int, width: int, channels: int = 3) -> npt.NDArray[np.float32]:
    """Dark strokes on paper, channels x height x width, from 0 to 1."""
    page = np.full((height, width), random.uniform(0.75, 1))
    for left in range(4, width - 8, height // 3 + 2):
        for _ in range(3):
            top, bottom = sorted(random.integers(height // 6, height - height // 6, 2))
            column = left + int(random.integers(0, height // 4))
            page[top : bottom + 2, column : column + 2] = 0.1
            page[bottom : bottom + 2, left : left + height // 4] = 0.1
    page += 0.01 * random.standard_normal(page.shape)
    return np.broadcast_to(np.clip(page, 0, 1).astype(np.float32), (channels, height, width)).copy()


def spectrum(random: Random, *shape: int) -> npt.NDArray[np.float32]:
    """Log energies: smooth along the last axis but one (time), in decibels around -40, over 40."""
    steps = random.standard_normal(shape).cumsum(axis=-2) if len(shape) > 1 else 0
    values = -1 + 0.1 * steps + 0.3 * random.standard_normal(shape)
    return values.astype(np.float32)


def tokens(random: Random, low: int, high: int, length: int) -> npt.NDArray[np.int64]:
    """One sentence of so many tokens, as a row."""
    return random.integers(low, high, (1, length))


def features(random: Random, count: int, dtype: type = np.float64) -> Array:
    """One row of a table: counts, rates and shares."""
    return (random.gamma(1.5, 4, (1, count)) * random.integers(0, 2, (1, count))).astype(dtype)


def image_first(image: Array) -> Array:
    """Channels before height and width, one row."""
    return np.ascontiguousarray(image.transpose(2, 0, 1))[np.newaxis]


def zeros(*shape: int) -> npt.NDArray[np.float32]:
    """The state of a recurrent model before it has heard anything."""
    return np.zeros(shape, np.float32)
