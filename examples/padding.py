"""Different lengths in one batch: `Pad` in, cut back out. `python -m examples.padding`."""

from pathlib import Path
from typing import Any

import anyio
import numpy as np

import trtasync
from examples.digit_lines import Line, decode, lines

MODEL = Path(__file__).parent / "models" / "digits_linew.onnx"
CALLERS = 64

# Widths go up to the next multiple of 32. The output has a column less per window of 8, which no
# name in the model says, so the rule says it.
PADDING = {
    "image": trtasync.Pad(
        axis=-1,
        multiple_of=32,
        outputs={"probs": trtasync.Cut(axis=1, length=lambda width: width - 7)},
    )
}


async def read_all(engine: trtasync.Engine, wanted: list[Line]) -> list[Any]:
    """Read every line, 64 at a time."""
    answers: list[Any] = [None] * len(wanted)
    todo = iter(range(len(wanted)))

    async def caller() -> None:
        for index in todo:
            image = wanted[index].image
            width = np.asarray(image.shape[-1], np.int64)
            answers[index] = await engine.infer({"image": image, "width": width})

    async with anyio.create_task_group() as tasks:
        for _ in range(CALLERS):
            tasks.start_soon(caller)
    return [answer["probs"] for answer in answers]


async def main() -> None:
    """Read the same lines without and with padding, and compare."""
    wanted = lines(500)
    results = {}
    for name, padding in (("equal widths only", None), ("padded to 32s", PADDING)):
        async with trtasync.open_engine(MODEL, max_batch_size=16, padding=padding) as engine:
            results[name] = await read_all(engine, wanted)
            seen = engine.statistics()
            print(f"{name}: {seen.batches} batches, {seen.rows / seen.batches:.1f} rows in each")
    alone, padded = results.values()
    equal = all(np.array_equal(a, b) for a, b in zip(alone, padded, strict=True))
    print(f"the answers are equal, bit for bit: {equal}")
    print(f"for example: {decode(padded[0])} (truth: {wanted[0].text})")


if __name__ == "__main__":
    anyio.run(main)
