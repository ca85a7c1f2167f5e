"""The repository: which models there are; where that is allowed, they are loaded and unloaded."""

from collections.abc import Collection
from typing import TypedDict

from trtasync.server.deployments import State
from trtasync.server.models import Models
from trtasync.server.protocol.refusals import Refusal


class IndexEntry(TypedDict):
    """A version of a model, its state, and why it is so where something went wrong."""

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
        """All versions of all models, and how they are."""
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
        """Open all versions of a model; those that are open are replaced.

        Args:
            name: of the model.
            parameters: names of those that the client sent along; there may be none.

        Raises:
            Refusal: it is not allowed, or so it is not, or there is no such model.
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
        """Close all versions of a model, when they have answered what they took.

        Raises:
            Refusal: it is not allowed, or there is no such model.
        """
        self.check_allowed()
        for model in self._models.versions(name):
            await model.unload()

    def check_allowed(self) -> None:
        """Raises Refusal where nobody may load or unload models."""
        if not self._model_control:
            raise Refusal("this server lets nobody load or unload models.", status=403)
