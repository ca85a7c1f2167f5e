"""What the web services among the examples have in common: a model that reads lines of digits."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import anyio
import httpx

import trtasync
from examples.digit_lines import WINDOW, FloatArray, lines
from trtasync.integrations.bodies import array_of

MODEL = Path(__file__).parent / "models" / "digits_line.onnx"
HEIGHT = 8


def open_model() -> AbstractAsyncContextManager[trtasync.Engine]:
    """The engine of a service."""
    return trtasync.open_engine(MODEL, max_batch_size=16, max_queue_size=256)


def image_of(body: bytes) -> FloatArray:
    """A line from a request's body: float32 [8, W], row-major, little-endian.

    Raises:
        InvalidInput: it is none.
    """
    image = array_of(body, "<f4", (1, HEIGHT, -1))
    if image.shape[-1] < WINDOW:
        raise trtasync.InvalidInput(f"a line has at least {WINDOW} columns of pixels.")
    return image


async def ask(address: str) -> None:
    """Send 64 lines at once, and something that is none."""
    wanted = lines(64)
    texts = {}
    patient = httpx.AsyncHTTPTransport(retries=8)  # the server may not listen yet
    async with httpx.AsyncClient(transport=patient, base_url=address, timeout=30) as client:

        async def post(index: int) -> None:
            body = wanted[index].image.astype("<f4").tobytes()
            texts[index] = (await client.post("/read", content=body)).json()["text"]

        async with anyio.create_task_group() as tasks:
            for index in range(len(wanted)):
                tasks.start_soon(post, index)
        right = sum(texts[index] == line.text for index, line in enumerate(wanted))
        print(f"64 clients, {right} lines read without an error, e.g. {texts[0]}")
        bad = await client.post("/read", content=b"12345678")
        print(f"a bad body: {bad.status_code} {bad.text}")
        print("health:", (await client.get("/health")).text)
