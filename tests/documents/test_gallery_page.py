"""docs/gallery.md shows examples as they are, and their pictures; and they are right."""

import re
from pathlib import Path

import anyio
import numpy as np
import pytest

import trtasync
from examples import embeddings, pictures, voice
from examples.models.gallery import write_texts, write_voice
from support.helpers import MODELS
from tests.documents.running import ROOT, python_blocks

PAGE = "docs/gallery.md"
MOST_LINES = 40
MOST_BYTES = 50_000

pytestmark = pytest.mark.anyio
on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])


def test_the_code_is_that_of_the_examples() -> None:
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    named = re.findall(r"\]\(\.\./(examples/\w+\.py)\)", text)
    codes = {path: (ROOT / path).read_text(encoding="utf-8") for path in named}
    assert len(codes) >= 3
    assert all(len(code.splitlines()) <= MOST_LINES for code in codes.values())
    shown = python_blocks(PAGE)
    assert shown
    assert set(shown) <= {*codes.values()}


def test_every_picture_is_there_and_small() -> None:
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    shown = {ROOT / "docs" / path for path in re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)}
    assert shown == {*pictures.FOLDER.glob("*.png")}
    assert all(path.stat().st_size < MOST_BYTES for path in shown)


def test_the_models_are_what_is_written(tmp_path: Path) -> None:
    write_texts(tmp_path / "texts.onnx")
    write_voice(tmp_path / "voice.onnx")
    for name in ("texts.onnx", "voice.onnx"):
        assert (tmp_path / name).read_bytes() == (MODELS / name).read_bytes()


@on_asyncio
async def test_every_city_is_found() -> None:
    alike = await embeddings.main()
    assert alike.argmax(axis=1).tolist() == list(range(8))


@on_asyncio
async def test_padding_changes_no_embedding() -> None:
    texts = ["a", "Oslo", "Amsterdam", "Llanfairpwllgwyngyll"]
    async with trtasync.open_engine(embeddings.MODEL) as alone:
        plain = await embeddings.embed(alone, texts)
    async with trtasync.open_engine(embeddings.MODEL, padding=embeddings.PADDING) as engine:
        padded = await embeddings.embed(engine, texts)
        assert engine.statistics().batches < len(texts)
    np.testing.assert_allclose(padded, plain, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose((plain**2).sum(axis=1), 1, rtol=1e-5)


async def test_calls_in_one_batch_keep_their_own_state() -> None:
    noises = (0.01, 0.08, 0.03)
    heard = {}
    async with trtasync.open_engine(voice.MODEL) as engine:

        async def listen(noise: float) -> None:
            heard[noise] = await voice.listen(engine, voice.call(noise))

        async with anyio.create_task_group() as tasks:
            for noise in noises:
                tasks.start_soon(listen, noise)
        together = dict(heard)
        for noise in noises:
            await listen(noise)
    for noise in noises:
        np.testing.assert_array_equal(together[noise], heard[noise])
        assert (heard[noise] > 0.5).any()
    assert not np.array_equal(heard[0.01], heard[0.08])
