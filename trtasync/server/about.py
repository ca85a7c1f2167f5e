"""What any door tells of the server and its models, apart from inference."""

from collections.abc import Iterable

from trtasync import __version__
from trtasync.server.counting import statistics_of
from trtasync.server.deployments import Model, State
from trtasync.server.models import Models
from trtasync.server.protocol.descriptions import (
    ModelConfig,
    ModelMetadata,
    ServerMetadata,
    model_config,
    model_metadata,
    server_metadata,
)
from trtasync.server.protocol.refusals import Refusal
from trtasync.server.protocol.statistics import ModelStatistics, model_statistics


class About:
    """Answers in the protocol's terms; a `version` of None is the highest that is ready.

    Every method raises Refusal for a model or version that does not exist, or that is not open and
    so cannot tell.
    """

    def __init__(self, models: Models, model_control: bool):
        """See `asgi.application`."""
        self._models = models
        self._model_control = model_control

    def check_ready(self) -> None:
        """Raise Refusal unless every model answers and the server is not about to end."""
        if not self._models.are_ready:
            raise Refusal("the server is not ready.", status=503)

    def check_model_ready(self, name: str, version: str | None) -> None:
        """Raise Refusal unless the model answers and the server is not about to end."""
        model = self._models.find(name, version)
        if self._models.is_closing or not model.is_ready:
            raise Refusal(f"model '{model.name}' is not ready.", status=503)

    def server(self) -> ServerMetadata:
        """The server's name, version and extensions."""
        return server_metadata(__version__, self._model_control)

    def model(self, name: str, version: str | None) -> ModelMetadata:
        """The model's inputs, outputs and ready versions."""
        model = self._models.find(name, version)
        interface = model.deployment.codec.interface
        versions = [each.version for each in _ready(self._models.versions(name))]
        return model_metadata(model.name, versions, model.platform, interface)

    def config(self, name: str, version: str | None) -> ModelConfig:
        """The model's configuration in Triton's form."""
        model = self._models.find(name, version)
        deployment = model.deployment
        return model_config(
            model.name,
            model.platform,
            deployment.codec.interface,
            model.max_rows,
            shares=deployment.engine.batching.batched,
        )

    async def statistics(self, name: str | None, version: str | None) -> list[ModelStatistics]:
        """The counts of one version, or of all ready versions of a model or, without a `name`, of
        all models."""
        if name is None:
            asked = _ready(self._models)
        elif version is None:
            asked = _ready(self._models.versions(name)) or [self._models.find(name)]
        else:
            asked = [self._models.find(name, version)]
        engines = [(each, each.deployment.engine) for each in asked]  # may be replaced meanwhile
        return [
            model_statistics(each.name, each.version, await statistics_of(engine))
            for each, engine in engines
        ]


def _ready(models: Iterable[Model]) -> list[Model]:
    return [model for model in models if model.state is State.READY]
