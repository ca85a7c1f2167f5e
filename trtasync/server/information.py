"""What is asked of the server and its models, inference apart."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from trtasync import __version__
from trtasync.server.counting import statistics_of
from trtasync.server.models import Model, Models, State
from trtasync.server.protocol.descriptions import model_config, model_metadata, server_metadata
from trtasync.server.protocol.refusals import Refusal
from trtasync.server.protocol.statistics import model_statistics


class Information:
    """Endpoints that only look."""

    def __init__(self, models: Models, model_control: bool):
        """See `asgi.application`."""
        self._models = models
        self._model_control = model_control

    async def live(self, request: Request) -> Response:
        """The server answers, as this shows."""
        return Response()

    async def ready(self, request: Request) -> Response:
        """Every model answers, and the server is not about to end."""
        if not await self._models.are_ready():
            raise Refusal("the server is not ready.", status=503)
        return Response()

    async def server(self, request: Request) -> Response:
        """Its name, version and extensions."""
        return JSONResponse(server_metadata(__version__, self._model_control))

    async def model_ready(self, request: Request) -> Response:
        """The model answers, and the server is not about to end."""
        model = self._model(request)
        if self._models.is_closing or not await model.is_ready():
            raise Refusal(f"model '{model.name}' is not ready.", status=503)
        return Response()

    async def model(self, request: Request) -> Response:
        """Its inputs, its outputs, and its versions that are ready."""
        model = self._model(request)
        interface = model.deployment.codec.interface
        known = self._models.versions(request.path_params["model"])
        versions = [each.version for each in known if each.state is State.READY]
        return JSONResponse(model_metadata(model.name, versions, model.platform, interface))

    async def config(self, request: Request) -> Response:
        """Its configuration in Triton's form."""
        model = self._model(request)
        interface = model.deployment.codec.interface
        return JSONResponse(model_config(model.name, model.platform, interface, model.max_rows))

    async def statistics(self, request: Request) -> Response:
        """The counts of one version, of all versions of a model, or of all models."""
        name = request.path_params.get("model")
        if name is None:
            asked = [model for model in self._models if model.state is State.READY]
        elif "version" in request.path_params:
            asked = [self._model(request)]
        else:
            asked = self._models.versions(name)
        counts = [
            model_statistics(each.name, each.version, await statistics_of(each.deployment.engine))
            for each in asked
        ]
        return JSONResponse({"model_stats": counts})

    def _model(self, request: Request) -> Model:
        return self._models.find(request.path_params["model"], request.path_params.get("version"))
