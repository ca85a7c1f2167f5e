"""The calls of the Open Inference Protocol, and Triton's, apart from those that run a model."""

from collections.abc import Callable
from typing import Any

from trtasync.server.about import About
from trtasync.server.grpc.calls import Handler, unary
from trtasync.server.grpc.messages import INFERENCE
from trtasync.server.grpc.views import Call, ControlRequest, IndexRequest, Message, ModelRequest
from trtasync.server.protocol.refusals import Refusal
from trtasync.server.repository import Repository


class Information:
    """Calls that change nothing. A model that does not exist is not ready, which is no refusal."""

    def __init__(self, about: About):
        """Serve what `about` tells."""
        self._about = about

    @property
    def handlers(self) -> dict[str, Handler]:
        """For grpcio."""
        return {
            "ServerLive": unary(INFERENCE, "ServerLiveRequest", self.live),
            "ServerReady": unary(INFERENCE, "ServerReadyRequest", self.ready),
            "ServerMetadata": unary(INFERENCE, "ServerMetadataRequest", self.server),
            "ModelReady": unary(INFERENCE, "ModelReadyRequest", self.model_ready),
            "ModelMetadata": unary(INFERENCE, "ModelMetadataRequest", self.model),
            "ModelConfig": unary(INFERENCE, "ModelConfigRequest", self.config),
            "ModelStatistics": unary(INFERENCE, "ModelStatisticsRequest", self.statistics),
        }

    async def live(self, request: Any, call: Call) -> Message:
        """Show, by answering, that the server answers."""
        return INFERENCE.make("ServerLiveResponse", live=True)

    async def ready(self, request: Any, call: Call) -> Message:
        """Whether every model answers, and the server is not about to end."""
        return INFERENCE.make("ServerReadyResponse", ready=_holds(self._about.check_ready))

    async def server(self, request: Any, call: Call) -> Message:
        """The server's name, version and extensions."""
        return INFERENCE.make("ServerMetadataResponse", **self._about.server())

    async def model_ready(self, request: ModelRequest, call: Call) -> Message:
        """Whether the model answers, and the server is not about to end."""
        is_ready = _holds(self._about.check_model_ready, *_asked(request))
        return INFERENCE.make("ModelReadyResponse", ready=is_ready)

    async def model(self, request: ModelRequest, call: Call) -> Message:
        """The model's inputs, outputs and ready versions."""
        return INFERENCE.make("ModelMetadataResponse", **self._about.model(*_asked(request)))

    async def config(self, request: ModelRequest, call: Call) -> Message:
        """The model's configuration in Triton's form."""
        config = self._about.config(*_asked(request))
        return INFERENCE.make("ModelConfigResponse", config=config)

    async def statistics(self, request: ModelRequest, call: Call) -> Message:
        """The counts of one version, of all versions of a model, or of all models."""
        counts = await self._about.statistics(request.name or None, request.version or None)
        return INFERENCE.make("ModelStatisticsResponse", model_stats=counts)


class Control:
    """Calls of the repository."""

    def __init__(self, repository: Repository):
        """Serve what `repository` allows."""
        self._repository = repository

    @property
    def handlers(self) -> dict[str, Handler]:
        """For grpcio."""
        return {
            "RepositoryIndex": unary(INFERENCE, "RepositoryIndexRequest", self.index),
            "RepositoryModelLoad": unary(INFERENCE, "RepositoryModelLoadRequest", self.load),
            "RepositoryModelUnload": unary(INFERENCE, "RepositoryModelUnloadRequest", self.unload),
        }

    async def index(self, request: IndexRequest, call: Call) -> Message:
        """List all versions of all models, with their states."""
        models = self._repository.index(request.ready)
        return INFERENCE.make("RepositoryIndexResponse", models=models)

    async def load(self, request: ControlRequest, call: Call) -> Message:
        """Open all versions of a model; open ones are replaced."""
        await self._repository.load(request.model_name, request.parameters)
        return INFERENCE.make("RepositoryModelLoadResponse")

    async def unload(self, request: ControlRequest, call: Call) -> Message:
        """Close all versions of a model, each once its accepted requests are answered."""
        await self._repository.unload(request.model_name)
        return INFERENCE.make("RepositoryModelUnloadResponse")


def _asked(request: ModelRequest) -> tuple[str, str | None]:
    return request.name, request.version or None


def _holds(check: Callable[..., None], *asked: str | None) -> bool:
    """Whether a check refuses nothing."""
    try:
        check(*asked)
    except Refusal:
        return False
    return True
