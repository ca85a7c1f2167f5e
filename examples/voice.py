"""Who speaks when? The model's state goes in and comes out: `python -m examples.voice`."""

import asyncio
from pathlib import Path

import numpy as np

import trtasync
from examples.digit_lines import FloatArray

MODEL = Path(__file__).parent / "models" / "voice.onnx"
FRAME, RATE = 256, 8000


def call(noise: float) -> FloatArray:
    """Five seconds of noise; from 1.5 s to 3.5 s syllables of a voice of 120 Hz."""
    time = np.arange(5 * RATE) / RATE
    buzz = sum(np.sin(2 * np.pi * 120 * part * time) / part for part in range(1, 9))
    speech = 0.3 * buzz * (abs(time - 2.5) < 1) * (np.sin(4 * np.pi * time) > -0.8)
    return (speech + np.random.default_rng(0).normal(0, noise, len(time))).astype(np.float32)


async def listen(engine: trtasync.Engine, sound: FloatArray) -> FloatArray:
    """How probably each frame is voice; the state is the level of the noise so far."""
    floor, heard = np.array(10, np.float32), []
    for frame in np.split(sound, range(FRAME, len(sound), FRAME))[:-1]:
        probability, floor = (await engine.infer({"sound": frame, "floor": floor})).values()
        heard.append(probability)
    return np.array(heard)


async def main() -> None:
    """Listen to a quiet call and a noisy one at once."""
    async with trtasync.open_engine(MODEL) as engine:
        for heard in await asyncio.gather(*(listen(engine, call(noise)) for noise in (0.01, 0.08))):
            print("voice from and to, in s:", np.flatnonzero(heard > 0.5)[[0, -1]] * FRAME / RATE)


if __name__ == "__main__":
    asyncio.run(main())
