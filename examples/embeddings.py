"""Embeddings of texts of any length, padded together: `python -m examples.embeddings`."""

import asyncio
from pathlib import Path
from zlib import crc32

import numpy as np

import trtasync
from examples.digit_lines import FloatArray, IntArray

MODEL = Path(__file__).parent / "models" / "texts.onnx"
CITIES = "Amsterdam Barcelona Copenhagen Gothenburg Liechtenstein Marseille Reykjavik Vladivostok"
TYPED = "Amstredam Barzelona Kopenhagen Gotenburg Lichtenstien Marsaille Reikjavik Wladiwostok"
PADDING = {"trigrams": trtasync.Pad(axis=1, multiple_of=8)}  # 0 is no trigram


def trigrams(text: str) -> IntArray:
    """What the model takes of a text: the hashes of three letters each, 1 to 512."""
    padded = f"  {text.lower()} ".encode()
    return np.array([1 + crc32(padded[at : at + 3]) % 512 for at in range(len(padded) - 2)])


async def embed(engine: trtasync.Engine, texts: list[str]) -> FloatArray:
    """Embeddings, float32 [texts, 64]; similar spellings have similar directions."""
    return np.stack(await asyncio.gather(*(engine.infer(trigrams(text)) for text in texts)))


async def main() -> FloatArray:
    """Find the city that was meant; return how alike they are, [typed, cities]."""
    async with trtasync.open_engine(MODEL, padding=PADDING) as engine:
        cities = await embed(engine, CITIES.split())
        alike = await embed(engine, TYPED.split()) @ cities.T
    for text, row in zip(TYPED.split(), alike, strict=True):
        print(f"{text:12} is most like {CITIES.split()[row.argmax()]:13} ({row.max():.2f})")
    return alike


if __name__ == "__main__":
    asyncio.run(main())
