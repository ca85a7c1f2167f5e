"""The repository: lists the models, and loads and unloads them if clients may do that."""

from collections.abc import Collection
from typing import TypedDict

from trtasync.server.deployments import State
from trtasync.server.models import Models
from trtasync.server.protocol.refusals import Refusal


class IndexEntry(TypedDict):
    """A version of a model, its state, and the reason for that if something went wrong."""

    name: str
    version: str
    state: State
    reason: str


class Repository:
    """What clients of any door may do to models."""

    def __init__(self, models: Models, model_control: bool):
        """See `asgi.application`."""
        self._models = models
        self._model_control = model_control

    def index(self, only_ready: bool) -> list[IndexEntry]:
        """All versions of all models, or only the ready ones, with their states."""
        return [
            {
                "name": model.name,
                "version": model.version,
                "state": model.state,
                "reason": model.reason,
            }
            for model in self._models
            if model.state is State.READY or not only_ready
        ]

    async def load(self, name: str, parameters: Collection[str]) -> None:
        """Open all versions of a model; open ones are replaced.

        Args:
            name: of the model.
            parameters: names of the parameters that the client sent, of which none is accepted.

        Raises:
            Refusal: loading is not allowed, parameters came along, or there is no such model.
        """
        self.check_allowed()
        if parameters:
            raise Refusal(
                f"models are loaded as the server was told, without parameters, and not with "
                f"{sorted(parameters)}."
            )
        for model in self._models.versions(name):
            await model.load()

    async def unload(self, name: str) -> None:
        """Close all versions of a model, each once its accepted requests are answered.

        Raises:
            Refusal: unloading is not allowed, or there is no such model.
        """
        self.check_allowed()
        for model in self._models.versions(name):
            await model.unload()

    def check_allowed(self) -> None:
        """Raise Refusal unless clients may load and unload models."""
        if not self._model_control:
            raise Refusal("this server lets nobody load or unload models.", status=403)
