"""What the server and its models tell of themselves over ASGI."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from trtasync.server.about import About
from trtasync.server.protocol.statistics import AllStatistics


class Information:
    """Endpoints that change nothing."""

    def __init__(self, about: About):
        """Serve what `about` tells."""
        self._about = about

    async def live(self, request: Request) -> Response:
        """Show, by answering, that the server answers."""
        return Response()

    async def ready(self, request: Request) -> Response:
        """Answer if every model does and the server is not about to end; else raise Refusal."""
        self._about.check_ready()
        return Response()

    async def server(self, request: Request) -> Response:
        """The server's name, version and extensions."""
        return JSONResponse(self._about.server())

    async def model_ready(self, request: Request) -> Response:
        """Answer if the model does and the server is not about to end; else raise Refusal."""
        self._about.check_model_ready(*_model(request))
        return Response()

    async def model(self, request: Request) -> Response:
        """The model's inputs, outputs and ready versions."""
        return JSONResponse(self._about.model(*_model(request)))

    async def config(self, request: Request) -> Response:
        """The model's configuration in Triton's form."""
        return JSONResponse(self._about.config(*_model(request)))

    async def statistics(self, request: Request) -> Response:
        """The counts of one version, of all versions of a model, or of all models."""
        path = request.path_params
        counts = await self._about.statistics(path.get("model"), path.get("version"))
        told: AllStatistics = {"model_stats": counts}
        return JSONResponse(told)


def _model(request: Request) -> tuple[str, str | None]:
    return request.path_params["model"], request.path_params.get("version")
