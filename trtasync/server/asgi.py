"""The Open Inference Protocol as an ASGI application.

models = Models()
models.add("digits", lambda: trtasync.open_engine("digits.onnx"))
app = application(models)  # uvicorn module:app, or app.mount("/models", application(models))
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Route

from trtasync.server.about import About
from trtasync.server.control import Control
from trtasync.server.inference import Inference
from trtasync.server.information import Information
from trtasync.server.models import Models
from trtasync.server.repository import Repository
from trtasync.server.responses import Answering, Endpoint, no_such_route

MAX_BODY = 64 << 20
"""Bytes of a request, before and after decompression."""


def application(
    models: Models,
    *,
    max_body: int = MAX_BODY,
    model_control: bool = False,
    compress_answers: bool = False,
    routes: Iterable[BaseRoute] = (),
) -> Starlette:
    """An application that serves `models`.

    Its lifespan opens and closes them. Mounted in another application its lifespan is not run, as
    Starlette has it: the outer one's then says `async with models:`.

    Args:
        models: may still be added to, and be used by others at the same time.
        max_body: bytes of a request that are taken, before and after decompression.
        model_control: clients may have models loaded again and unloaded.
        compress_answers: as `Accept-Encoding` asks. Tensors hardly shrink, and some clients ask for
            it without meaning to.
        routes: further ones, such as a dashboard's.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with models:
            yield

    app = Starlette(
        routes=[*_routes(models, max_body, model_control, compress_answers), *routes],
        exception_handlers={HTTPException: no_such_route},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


def _routes(
    models: Models, max_body: int, model_control: bool, compress_answers: bool
) -> list[Route]:
    infer = Inference(models, max_body, compress_answers)
    about = Information(About(models, model_control))
    control = Control(Repository(models, model_control), max_body)
    ways: list[tuple[str, str, Endpoint]] = [
        ("POST", "/v2/models/{model}/infer", infer),
        ("POST", "/v2/models/{model}/versions/{version}/infer", infer),
        ("GET", "/v2/health/live", about.live),
        ("GET", "/v2/health/ready", about.ready),
        ("GET", "/v2", about.server),
        ("GET", "/v2/models/stats", about.statistics),
        ("GET", "/v2/models/{model}", about.model),
        ("GET", "/v2/models/{model}/ready", about.model_ready),
        ("GET", "/v2/models/{model}/config", about.config),
        ("GET", "/v2/models/{model}/stats", about.statistics),
        ("GET", "/v2/models/{model}/versions/{version}", about.model),
        ("GET", "/v2/models/{model}/versions/{version}/ready", about.model_ready),
        ("GET", "/v2/models/{model}/versions/{version}/config", about.config),
        ("GET", "/v2/models/{model}/versions/{version}/stats", about.statistics),
        ("POST", "/v2/repository/index", control.index),
        ("POST", "/v2/repository/models/{model}/load", control.load),
        ("POST", "/v2/repository/models/{model}/unload", control.unload),
    ]
    return [Route(path, Answering(endpoint), methods=[method]) for method, path, endpoint in ways]
