"""What examples of docs/gallery.md make, as pictures: `python -m examples.pictures`."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import matplotlib.pyplot as plt
import numpy as np

import trtasync
from examples import embeddings, pipeline, voice
from examples.digit_lines import WINDOW, lines
from examples.digit_pages import HEIGHT, WIDTH, pages, right
from examples.ocr_service import app

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#999999"


async def draw_lines() -> None:
    """Lines of handwritten digits, and what the service answers."""
    wanted = lines(6)
    served: Any = app
    async with served.router.lifespan_context(served) as state:

        async def serve(scope: Any, receive: Any, send: Any) -> None:
            await served({**scope, "state": dict(state)}, receive, send)

        transport = httpx.ASGITransport(serve)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            posts = (client.post("/read", content=line.image.tobytes()) for line in wanted)
            texts = [answer.json()["text"] for answer in await asyncio.gather(*posts)]
    figure, axes = plt.subplots(len(wanted), figsize=(7, 4.2), layout="constrained")
    for place, line, text in zip(axes, wanted, texts, strict=True):
        place.imshow(line.image[0], cmap="Greys", extent=(0, line.image.shape[-1], 8, 0))
        place.set(xlim=(0, 190), ylim=(8, 0))
        colour = BLUE if text == line.text else ORANGE
        place.text(130, 6.3, text, color=colour, family="monospace", fontsize=13)
        place.axis("off")
    _save(figure, "ocr_service")


async def draw_alike() -> None:
    """How alike what was typed is to the names of cities."""
    alike = await embeddings.main()
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    shown = axes.imshow(alike, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    names, typed = embeddings.CITIES.split(), embeddings.TYPED.split()
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axes.set_yticks(range(len(typed)), typed)
    for row, values in enumerate(alike):
        best = int(values.argmax())
        axes.text(best, row, f"{values[best]:.2f}", color="white", ha="center", va="center")
    figure.colorbar(shown, label="cosine of the embeddings")
    _save(figure, "embeddings")


async def draw_voice() -> None:
    """Two calls, and where voice was heard in them."""
    figure, axes = plt.subplots(2, sharex=True, figsize=(7, 4.2), layout="constrained")
    async with trtasync.open_engine(voice.MODEL) as engine:
        for place, noise in zip(axes, (0.01, 0.08), strict=True):
            sound = voice.call(noise)
            heard = await voice.listen(engine, sound)
            time = np.arange(len(heard)) * voice.FRAME / voice.RATE
            frames = sound[: len(heard) * voice.FRAME].reshape(len(heard), -1)
            place.fill_between(time, frames.min(1), frames.max(1), color=GREY, label="sound")
            place.plot(time, heard, color=ORANGE, label="probability of voice")
            place.set_title(f"noise {noise}", loc="left", fontsize=10)
    axes[0].legend(loc="upper right", frameon=False, fontsize=9)
    axes[1].set_xlabel("seconds")
    _save(figure, "voice")


async def draw_pipeline() -> None:
    """Pages, the boxes that were found on them and what was read there."""
    wanted = pages(4, seed=1)
    async with (
        trtasync.open_engine(pipeline.FINDER) as finder,
        trtasync.open_engine(pipeline.READER) as reader,
    ):
        texts = [await pipeline.read(finder, reader, page.image) for page in wanted]
    figure, axes = plt.subplots(2, 2, figsize=(7, 5.4), layout="constrained")
    for place, page, text in zip(axes.flat, wanted, texts, strict=True):
        place.imshow(page.image[0], cmap="Greys", vmax=1.3, interpolation="nearest")
        for (row, column), digit in text.items():
            colour = BLUE if right(page, {(row, column): digit}) else ORANGE
            box = plt.Rectangle((column - 0.5, row - 0.5), WINDOW, WINDOW, fill=False, color=colour)
            place.add_patch(box)
            place.text(column + WINDOW, row + 2.5, digit or "?", color=colour, fontsize=13)
        place.set(xlim=(-2, WIDTH + 4), ylim=(HEIGHT + 1, -2), xticks=[], yticks=[])
    _save(figure, "pipeline")


def _save(figure: Any, name: str) -> None:
    figure.savefig(FOLDER / f"{name}.png", dpi=90)
    plt.close(figure)


async def main() -> None:
    """Draw all of them."""
    plt.switch_backend("agg")
    for draw in (draw_lines, draw_alike, draw_voice, draw_pipeline):
        await draw()


if __name__ == "__main__":
    asyncio.run(main())
