"""The Open Inference Protocol as an ASGI application.

models = Models()
models.add("digits", lambda: trtasync.open_engine("digits.onnx"))
app = application(models)  # uvicorn module:app, or app.mount("/models", application(models))
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Route

from trtasync.server.about import About
from trtasync.server.control import Control, IndexRequest, LoadRequest, UnloadRequest
from trtasync.server.inference import Inference
from trtasync.server.information import Information
from trtasync.server.models import Models
from trtasync.server.openapi import Way, described
from trtasync.server.protocol.descriptions import ModelConfig, ModelMetadata, ServerMetadata
from trtasync.server.protocol.schema import InferAnswer, InferRequest
from trtasync.server.protocol.statistics import AllStatistics
from trtasync.server.repository import IndexEntry, Repository
from trtasync.server.responses import Answering, Endpoint, no_such_route

MAX_BODY = 64 << 20
"""Most bytes of a request's body, before and after decompression."""


def application(
    models: Models,
    *,
    max_body: int = MAX_BODY,
    model_control: bool = False,
    compress_answers: bool = False,
    watch_clients: bool = True,
    routes: Iterable[BaseRoute] = (),
) -> Starlette:
    """Make an application that serves `models`.

    Its lifespan opens and closes them. Starlette does not run the lifespan of an application that
    is mounted in another: the outer one's must then use `async with models:`.

    Args:
        models: may still be added to, and may be served by others at the same time.
        max_body: most bytes of a request's body, before and after decompression.
        model_control: clients may load (also again) and unload models.
        compress_answers: as `Accept-Encoding` asks. Tensors hardly shrink, and some clients ask for
            it without meaning to.
        watch_clients: listen for clients who leave, and withdraw what they have asked for. False
            where the server cancels the task of such a request itself, as Ray Serve does; uvicorn
            and the like do not.
        routes: further ones, such as a dashboard's.
    """

    infer = Inference(models, max_body, compress_answers, watch_clients)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with models:
            yield

    app = Starlette(
        routes=[*_routes(models, infer, model_control), *routes],
        exception_handlers={HTTPException: no_such_route},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.compress_answers = compress_answers  # for the fast door, which follows it
    return app


def _routes(models: Models, infer: Inference, model_control: bool) -> list[Route]:
    about = Information(About(models, model_control))
    control = Control(Repository(models, model_control))
    return [
        Route(path, Answering(way.endpoint), methods=[way.method])
        for way in described([*_about_models(infer, about), *_about_the_server(about, control)])
        for path, _ in way.paths
    ]


def _about_the_server(about: Information, control: Control) -> list[Way]:
    repository, changes = "/v2/repository", (403, 404, 415)
    return [
        Way("GET", "/v2/health/live", about.live, "live", "The server answers."),
        Way("GET", "/v2/health/ready", about.ready, "ready", "All models answer."),
        Way(
            *("GET", "/v2", about.server, "server", "Name, version, extensions."),
            gives=ServerMetadata,
        ),
        Way(
            *("POST", f"{repository}/index", control.index, "index", "All models, how they are."),
            takes=IndexRequest,
            gives=list[IndexEntry],
            fails=(415,),
        ),
        Way(
            *("POST", f"{repository}/models/{{model}}/load", control.load, "load"),
            "Open a model, or open it again.",
            takes=LoadRequest,
            fails=changes,
        ),
        Way(
            *("POST", f"{repository}/models/{{model}}/unload", control.unload, "unload"),
            "Close a model.",
            takes=UnloadRequest,
            fails=changes,
        ),
    ]


def _about_models(infer: Inference, about: Information) -> list[Way]:
    def look(path: str, endpoint: Endpoint, name: str, summary: str, gives: Any) -> Way:
        where = f"/v2/models/{{model}}{path}"
        return Way(
            "GET", where, endpoint, name, summary, gives=gives, fails=(404,), has_versions=True
        )

    return [
        Way(
            *("POST", "/v2/models/{model}/infer", infer, "infer", "Run a model."),
            takes=InferRequest,
            gives=InferAnswer,
            fails=(404, 415, 429, 504),
            has_versions=True,
            has_tensors=True,
        ),
        Way(
            *("GET", "/v2/models/stats", about.statistics, "statistics", "Counts of all models."),
            gives=AllStatistics,
        ),
        look("", about.model, "model", "What a model takes and gives.", ModelMetadata),
        look("/ready", about.model_ready, "model_ready", "A model answers.", None),
        look("/config", about.config, "config", "A model as Triton tells it.", ModelConfig),
        look("/stats", about.statistics, "model_statistics", "A model's counts.", AllStatistics),
    ]
