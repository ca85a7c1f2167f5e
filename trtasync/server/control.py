"""The repository over ASGI."""

from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from trtasync.server.protocol.refusals import Refusal
from trtasync.server.protocol.schema import UNREADABLE
from trtasync.server.receiving import read_body
from trtasync.server.repository import Repository

LONGEST = 64 << 10
"""Most bytes of a request, which carries no tensors: it is read on the event loop."""


class IndexRequest(Struct, frozen=True):
    """With `ready`, only models that are ready are listed."""

    ready: bool = False


class LoadRequest(Struct, frozen=True):
    """How a model is loaded: as the server was told, so parameters are not accepted."""

    parameters: Annotated[dict[str, msgspec.Raw], Meta(extra_json_schema={"maxProperties": 0})] = {}


class UnloadParameters(Struct, frozen=True):
    """`unload_dependents` changes nothing: no model here depends on another."""

    unload_dependents: bool = False


class UnloadRequest(Struct, frozen=True):
    """How a model is unloaded."""

    parameters: UnloadParameters = UnloadParameters()


Asked = TypeVar("Asked", IndexRequest, LoadRequest, UnloadRequest)


class Control:
    """Endpoints of the repository."""

    def __init__(self, repository: Repository):
        """Serve this repository."""
        self._repository = repository

    async def index(self, request: Request) -> Response:
        """List all versions of all models, with their states."""
        asked = await self._read(request, IndexRequest)
        return JSONResponse(self._repository.index(asked.ready))

    async def load(self, request: Request) -> Response:
        """Open all versions of a model; open ones are replaced."""
        self._repository.check_allowed()
        asked = await self._read(request, LoadRequest)
        await self._repository.load(request.path_params["model"], asked.parameters)
        return Response()

    async def unload(self, request: Request) -> Response:
        """Close all versions of a model, each once its accepted requests are answered."""
        self._repository.check_allowed()
        await self._read(request, UnloadRequest)
        await self._repository.unload(request.path_params["model"])
        return Response()

    async def _read(self, request: Request, kind: type[Asked]) -> Asked:
        body = await read_body(request, LONGEST)
        try:
            return msgspec.json.decode(body or b"{}", type=kind)
        except UNREADABLE as error:
            raise Refusal(f"the JSON of the request: {error}.") from None
