"""A service that reads lines of digits of any width: `uvicorn examples.ocr_service:app`."""

from pathlib import Path

import anyio
from fastapi import FastAPI, Request
from starlette.routing import Route

import trtasync
import trtasync.integrations.starlette as ours
from examples.digit_lines import WINDOW, decode

MODEL = Path(__file__).parent / "models" / "digits_line.onnx"
PATIENCE = 10

app = FastAPI(
    lifespan=ours.lifespan(lines=lambda: trtasync.open_engine(MODEL, max_queue_time=1)),
    exception_handlers={**ours.exception_handlers, TimeoutError: ours.answer_failure},
    routes=[Route("/health", ours.health), Route("/metrics", ours.metrics)],
)


@app.post("/read")
async def read(request: Request) -> dict[str, str]:  # float32 [1, 8, W], little-endian
    image = await ours.read_array(request, "<f4", (1, 8, -1))
    if image.shape[-1] < WINDOW:
        raise trtasync.InvalidInput(f"a line has at least {WINDOW} columns of pixels.")
    with anyio.fail_after(PATIENCE):
        return {"text": decode(await ours.infer(request, "lines", image))}
