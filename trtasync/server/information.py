"""What is asked of the server and its models over ASGI, inference apart."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from trtasync.server.about import About
from trtasync.server.protocol.statistics import AllStatistics


class Information:
    """Endpoints that only look."""

    def __init__(self, about: About):
        """What `about` tells."""
        self._about = about

    async def live(self, request: Request) -> Response:
        """The server answers, as this shows."""
        return Response()

    async def ready(self, request: Request) -> Response:
        """Every model answers, and the server is not about to end."""
        self._about.check_ready()
        return Response()

    async def server(self, request: Request) -> Response:
        """Its name, version and extensions."""
        return JSONResponse(self._about.server())

    async def model_ready(self, request: Request) -> Response:
        """The model answers, and the server is not about to end."""
        self._about.check_model_ready(*_model(request))
        return Response()

    async def model(self, request: Request) -> Response:
        """Its inputs, its outputs, and its versions that are ready."""
        return JSONResponse(self._about.model(*_model(request)))

    async def config(self, request: Request) -> Response:
        """Its configuration in Triton's form."""
        return JSONResponse(self._about.config(*_model(request)))

    async def statistics(self, request: Request) -> Response:
        """The counts of one version, of all versions of a model, or of all models."""
        path = request.path_params
        counts = await self._about.statistics(path.get("model"), path.get("version"))
        told: AllStatistics = {"model_stats": counts}
        return JSONResponse(told)


def _model(request: Request) -> tuple[str, str | None]:
    return request.path_params["model"], request.path_params.get("version")
