"""An engine in an aiohttp application.

`python -m examples.aiohttp_app` serves it, and asks it with 64 clients at once.
"""

import anyio
from aiohttp import web

from examples.digit_lines import decode
from examples.line_service import ask, image_of, open_model
from trtasync.integrations.aiohttp import answer_failures, engine, health, lifespan


async def read(request: web.Request) -> web.Response:
    """Read a line of digits."""
    image = image_of(await request.read())
    with anyio.fail_after(10):
        return web.json_response({"text": decode(await engine(request, "lines").infer(image))})


app = web.Application(middlewares=[answer_failures])
app.cleanup_ctx.append(lifespan(lines=open_model))
app.add_routes([web.post("/read", read), web.get("/health", health)])


async def main() -> None:
    """Be the server, and 64 clients of it."""
    # asked for, or the row of a client that has left would be computed
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0]
        await ask(f"http://{host}:{port}")
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    anyio.run(main)
