"""The models of a server: versions by name, aliases, and which of them answers a request."""

import re
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from trtasync.errors import InvalidInput
from trtasync.server.deployments import Deployment, Model, Opener, State
from trtasync.server.protocol.refusals import Refusal

MAX_ROWS = 4096
"""Most rows of a request that an engine accepts, unless its `max_queue_size` says otherwise."""

_NAME = re.compile(r"[A-Za-z0-9_.:@+~-]+")
_VERSION = re.compile(r"[1-9][0-9]{0,17}")
_TAKEN = {"stats", ".", ".."}
"""Names that a path would mistake for something else."""


class Models:
    """Models by name: `async with models:` opens all of them, and closes them again.

    Attributes:
        is_closing: they are being closed, so none counts as ready, even if it still answers.
        watchers: are called when another deployment, or none any more, answers to a name. The
            previous one is closed only after they return.
    """

    def __init__(self) -> None:
        """Start without models; see `add`."""
        self._models: dict[str, dict[str, Model]] = {}
        self._aliases: dict[str, tuple[str, str | None]] = {}
        self._are_open = False
        self.is_closing: bool = False
        self.watchers: list[Callable[[], None]] = []

    def add(
        self,
        name: str,
        opener: Opener,
        *,
        version: int = 1,
        platform: str = "trtasync",
        max_rows: int = MAX_ROWS,
    ) -> Model:
        """Add a model, or another version of one. If the models are open already, load it yourself;
        until then the server is ready without it.

        Args:
            name: as it stands in paths: letters, digits and `_.:@+~-`.
            opener: opens an engine, e.g. `lambda: open_engine("model.onnx")`; called at each load.
                The engine is closed with the models.
            version: the highest ready version answers requests that name none.
            platform: what runs the model, as clients are told.
            max_rows: most rows of a request, as clients are told (`max_queue_size`).

        Raises:
            InvalidInput: the name or version is invalid, or it exists already.
        """
        _check_name(name)
        if name in self._aliases:
            raise InvalidInput(f"'{name}' is an alias, and cannot be the name of a model too.")
        number = str(version)
        if not _VERSION.fullmatch(number):
            raise InvalidInput(f"a version is a number of at least 1, not {version!r}.")
        versions = self._models.setdefault(name, {})
        if number in versions:
            raise InvalidInput(f"model '{name}' has version {number} already.")
        is_missed = not self._are_open
        model = Model(name, number, opener, platform, max_rows, is_missed, self._changed)
        versions[number] = model
        return model

    def alias(self, alias: str, name: str, version: int | None = None) -> None:
        """Let a model answer to another name too; an existing alias is moved.

        Args:
            alias: the other name.
            name: of the model.
            version: the only version meant; None for all of them.

        Raises:
            InvalidInput: there is no such model, or `alias` is the name of one.
        """
        _check_name(alias)
        number = None if version is None else str(version)
        if name not in self._models or (number and number not in self._models[name]):
            target = f"'{name}'" if number is None else f"version {number} of '{name}'"
            raise InvalidInput(f"alias '{alias}' is for {target}, but there is no such model.")
        if alias in self._models:
            raise InvalidInput(f"'{alias}' is the name of a model, and cannot be an alias too.")
        self._aliases[alias] = name, number
        self._changed()

    def unalias(self, alias: str) -> None:
        """Forget an alias.

        Raises:
            InvalidInput: there is no such alias.
        """
        if self._aliases.pop(alias, None) is None:
            raise InvalidInput(f"there is no alias '{alias}'.")
        self._changed()

    def remove(self, name: str, version: int = 1) -> Model:
        """Remove a version of a model, so that requests no longer find it.

        Returns:
            the version, which the caller has to unload.

        Raises:
            InvalidInput: there is no such version.
        """
        versions = self._models.get(name, {})
        model = versions.pop(str(version), None)
        if model is None:
            raise InvalidInput(f"there is no version {version} of a model '{name}' to remove.")
        if not versions:
            del self._models[name]
        self._changed()
        return model

    def _changed(self) -> None:
        for watcher in self.watchers:
            watcher()

    def versions(self, name: str) -> list[Model]:
        """The versions of a model, or those that an alias stands for, lowest first.

        Raises:
            Refusal: there is no such model (404).
        """
        name, only = self._aliases.get(name, (name, None))
        if name not in self._models:
            raise Refusal(f"there is no model '{name}'.", status=404)
        found = self._models[name]
        return [found[number] for number in sorted(found, key=int) if only in (None, number)]

    def find(self, name: str, version: str | None = None) -> Model:
        """The model that a request is for, ready or not.

        Raises:
            Refusal: there is no such model, or no such version of it (404).
        """
        known = self.versions(name)
        if version is None:
            ready = [model for model in known if model.state is State.READY]
            return (ready or known)[-1]
        for model in known:
            if model.version == version:
                return model
        raise Refusal(f"model '{name}' has no version {version!r}.", status=404)

    def deployed(self, name: str, version: str | None = None) -> Deployment:
        """The deployment that answers requests for a model now; see `Model.deployment`.

        Raises:
            Refusal: there is no such model or version (404), or it is not open (503).
        """
        return self.find(name, version).deployment

    def __iter__(self) -> Iterator[Model]:
        for versions in self._models.values():
            yield from versions.values()

    @property
    def are_ready(self) -> bool:
        """Whether all models that count (`Model.is_missed`) are ready, and none is being closed."""
        return not self.is_closing and all(model.is_ready for model in self if model.is_missed)

    async def aclose(self) -> None:
        """Close all models, each after it has answered the requests that it accepted."""
        self.is_closing, self._are_open = True, False
        async with AsyncExitStack() as closing:
            for model in self:
                closing.push_async_callback(model.unload)

    async def __aenter__(self) -> Self:
        self.is_closing = False
        try:
            for model in self:
                await model.load()
        except BaseException:
            await self.aclose()
            raise
        self._are_open = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name in _TAKEN:
        raise InvalidInput(
            f"a model cannot be named {name!r}: letters, digits and _.:@+~- make a name, and "
            f"{sorted(_TAKEN)} are taken."
        )
