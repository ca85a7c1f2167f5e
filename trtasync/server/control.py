"""The repository: which models there are; where that is allowed, they are loaded and unloaded."""

from typing import TypeVar

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from trtasync.server.models import Models, State
from trtasync.server.protocol.refusals import Refusal
from trtasync.server.receiving import read_body


class IndexRequest(Struct, frozen=True):
    """The body of POST v2/repository/index: with `ready` only what is ready is listed."""

    ready: bool = False


class LoadRequest(Struct, frozen=True):
    """The body of .../load: what Triton would take here is more than a path says."""

    parameters: dict[str, msgspec.Raw] = {}


class UnloadParameters(Struct, frozen=True):
    """`unload_dependents` changes nothing: no model here depends on another."""

    unload_dependents: bool = False


class UnloadRequest(Struct, frozen=True):
    """The body of .../unload."""

    parameters: UnloadParameters = UnloadParameters()


Asked = TypeVar("Asked", IndexRequest, LoadRequest, UnloadRequest)


class Control:
    """Endpoints of the repository."""

    def __init__(self, models: Models, max_body: int, model_control: bool):
        """See `asgi.application`."""
        self._models = models
        self._max_body = max_body
        self._model_control = model_control

    async def index(self, request: Request) -> Response:
        """All versions of all models, and how they are."""
        asked = await self._read(request, IndexRequest)
        return JSONResponse(
            [
                {
                    "name": model.name,
                    "version": model.version,
                    "state": model.state,
                    "reason": model.reason,
                }
                for model in self._models
                if model.state is State.READY or not asked.ready
            ]
        )

    async def load(self, request: Request) -> Response:
        """Open all versions of a model; those that are open are replaced."""
        self._check_allowed()
        asked = await self._read(request, LoadRequest)
        if asked.parameters:
            raise Refusal(
                f"models are loaded as the server was told, without parameters, and not with "
                f"{sorted(asked.parameters)}."
            )
        for model in self._models.versions(request.path_params["model"]):
            await model.load()
        return Response()

    async def unload(self, request: Request) -> Response:
        """Close all versions of a model, when they have answered what they took."""
        self._check_allowed()
        await self._read(request, UnloadRequest)
        for model in self._models.versions(request.path_params["model"]):
            await model.unload()
        return Response()

    def _check_allowed(self) -> None:
        if not self._model_control:
            raise Refusal("this server lets nobody load or unload models.", status=403)

    async def _read(self, request: Request, kind: type[Asked]) -> Asked:
        try:
            return msgspec.json.decode(await read_body(request, self._max_body) or b"{}", type=kind)
        except msgspec.MsgspecError as error:
            raise Refusal(f"the JSON of the request: {error}.") from None
