"""The shortest use: are two handwritten digits the same? `python -m examples.hello`."""

from pathlib import Path

import anyio

import trtasync
from examples.digit_lines import held_out

MODEL = Path(__file__).parent / "models" / "digits_pair.onnx"


async def main() -> None:
    """Ask twice: about one image and itself, and about two of different digits."""
    images, labels = held_out()
    vectors = images.reshape(len(images), 64)
    other = int((labels != labels[0]).argmax())
    async with trtasync.open_engine(MODEL) as engine:
        for index in (0, other):
            answer = await engine.infer([vectors[0], vectors[index]])
            chance = float(answer["same_probability"])
            print(f"{labels[0]} and {labels[index]}: the same with probability {chance:.2f}")


if __name__ == "__main__":
    anyio.run(main)
