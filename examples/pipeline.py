"""Find the digits of many pages, read them all together: `python -m examples.pipeline`."""

import asyncio
from pathlib import Path
from typing import Any

from examples.digit_lines import FloatArray, decode
from examples.digit_pages import Digits, pages, right
from trtasync import open_engine

FINDER = Path(__file__).parent / "models" / "digits_page.onnx"
READER = FINDER.with_name("digits_line.onnx")
CROPS = "image:1x1x8x12/8x1x8x12/32x1x8x12"  # what a GPU's plan is for: eight rows, 12 columns


async def read(finder: Any, reader: Any, page: FloatArray, to_host: Any = None) -> Digits:
    """What stands where; given `to_host`, which copies from a GPU, the crops stay on it."""
    found = await finder.infer({"page": page}, outputs="device" if to_host else "host")
    score, corner = (to_host(found[key]) if to_host else found[key] for key in ("score", "corner"))
    if not (count := (score > 0).sum()):  # the best come first
        return {}
    probs = await reader.infer(found["crops"][:count])
    return {(y, x): decode(row) for (y, x), row in zip(corner[:count].tolist(), probs, strict=True)}


async def main() -> None:
    """Read 16 pages at once."""
    wanted = pages(16)
    async with (
        open_engine(FINDER, max_batch_size=16) as finder,
        open_engine(READER, max_batch_size=32, profiles=CROPS) as reader,
    ):
        texts = await asyncio.gather(*(read(finder, reader, page.image) for page in wanted))
        for name, engine in (("pages", finder), ("crops", reader)):
            print(f"{engine.statistics().rows} {name} in {engine.statistics().batches} batches")
    print(f"{sum(map(right, wanted, texts))} of {sum(map(len, texts))} digits are right")


if __name__ == "__main__":
    asyncio.run(main())
