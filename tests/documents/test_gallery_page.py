"""docs/gallery.md shows examples as they are, and their pictures; and they are right."""

import asyncio
import re
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

import trtasync
from examples import embeddings, pictures, pipeline, voice
from examples.digit_pages import Digits, pages, right
from examples.models.gallery import write_page, write_texts, write_voice
from support import doubles
from support.doubles.kernels import view
from support.helpers import MODELS, Array
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
    write_page(tmp_path / "digits_page.onnx")
    write_texts(tmp_path / "texts.onnx")
    write_voice(tmp_path / "voice.onnx")
    for name in ("digits_page.onnx", "texts.onnx", "voice.onnx"):
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


def is_beside(found: tuple[int, int], drawn: tuple[int, int]) -> bool:
    """The finder knows the row exactly, and the column of a narrow digit to within one."""
    return found[0] == drawn[0] and abs(found[1] - drawn[1]) <= 1


async def test_what_is_read_on_pages_is_what_was_drawn() -> None:
    wanted = pages(60)
    async with (
        trtasync.open_engine(pipeline.FINDER) as finder,
        trtasync.open_engine(pipeline.READER) as reader,
    ):
        texts = [await pipeline.read(finder, reader, page.image) for page in wanted]
    for page, text in zip(wanted, texts, strict=True):
        assert len(text) == len(page.digits)
        assert all(any(is_beside(found, drawn) for drawn in page.digits) for found in text)
    drawn = sum(len(page.digits) for page in wanted)
    assert sum(map(right, wanted, texts)) >= 0.97 * drawn


async def test_nothing_is_read_on_blank_paper() -> None:
    async with (
        trtasync.open_engine(pipeline.FINDER) as finder,
        trtasync.open_engine(pipeline.READER) as reader,
    ):
        assert await pipeline.read(finder, reader, np.zeros((1, 48, 64), np.float32)) == {}
        assert reader.statistics().batches == 0


@on_asyncio
async def test_crops_of_many_pages_share_batches() -> None:
    wanted = pages(12, seed=1)
    async with (
        trtasync.open_engine(pipeline.FINDER, max_batch_size=16) as finder,
        trtasync.open_engine(pipeline.READER, max_batch_size=32) as reader,
    ):
        alone = [await pipeline.read(finder, reader, page.image) for page in wanted]
        before = reader.statistics()
        assert before.batches == len(wanted)
        reading = (pipeline.read(finder, reader, page.image) for page in wanted)
        assert await asyncio.gather(*reading) == alone
        after = reader.statistics()
        assert after.rows == 2 * before.rows
        assert after.batches - before.batches < len(wanted)


async def test_crops_stay_in_the_memory_of_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = pages(3, seed=2)
    fetched: list[tuple[int, ...]] = []

    def to_host(array: Any) -> Array:
        fetched.append(array.shape)
        return np.array(view(array.address, array.shape, array.dtype))

    async def read(to_host: Any = None) -> list[Digits]:
        async with (
            trtasync.open_engine(pipeline.FINDER, max_batch_size=4) as finder,
            trtasync.open_engine(pipeline.READER, profiles=pipeline.CROPS) as reader,
        ):
            return [await pipeline.read(finder, reader, page.image, to_host) for page in wanted]

    on_cpu = await read()
    monkeypatch.setenv("TRTASYNC_CACHE_DIR", str(tmp_path))
    with doubles.install():
        assert await read(to_host) == on_cpu
    assert fetched == [(16,), (16, 2)] * len(wanted)
