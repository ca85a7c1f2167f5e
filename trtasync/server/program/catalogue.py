"""The models of a server, kept as they are wanted and as their files are."""

import logging

import anyio

from trtasync.errors import InvalidInput, PlanError
from trtasync.server.deployments import Model
from trtasync.server.models import Models
from trtasync.server.program.opening import Manner, Source
from trtasync.server.program.settings import Offer, Served
from trtasync.shared.protocol import AnyEngine

log: logging.Logger = logging.getLogger("trtasync")

INTERVAL = 1.0
"""Seconds between two looks at the files. One that has changed is loaded when two looks agree."""

GOES_ON = "and the one before goes on"

Key = tuple[str, int]


class Held:
    """A version of a model that is served.

    Attributes:
        source: what it is opened from the next time.
        model: the version itself.
    """

    def __init__(self, models: Models, served: Served, manner: Manner):
        """Add it to `models`, not open yet."""
        self.source: Source = Source(served, manner)
        self._has_answered = False
        self.model: Model = models.add(
            served.name, self._open, version=served.version, max_rows=served.max_rows
        )

    async def _open(self) -> AnyEngine:
        """Open an engine. If the last one answered a request of random numbers, this one must."""
        engine = await self.source.open()
        fault = self.source.fault
        if fault is not None and self._has_answered:
            await engine.aclose()
            raise PlanError(
                "it opens, but fails on a request of random numbers, which the previous model "
                f"answered (restart the server to use it anyway): {fault}"
            )
        if fault is not None:
            log.warning("%s fails on a request of random numbers: %s", self.source.served, fault)
        self._has_answered = fault is None
        return engine

    async def load(self, otherwise: str) -> bool:
        """Open it, or open it again; True on success. `otherwise`: for the log, what happens if it
        fails."""
        served = self.source.served
        try:
            await self.model.load()
        except Exception as error:
            log.error("%s is not loaded, %s: %s", served, otherwise, error)
            return False
        log.info("%s is loaded from %s", served, served.path)
        return True


class Catalogue:
    """See the module's docstring. Errors go to the log: the models that answer go on."""

    def __init__(self, models: Models, offer: Offer, manner: Manner):
        """Fill `models`, which the caller opens and closes, with models opened in this `manner`.

        Raises:
            InvalidInput: two models have one name.
        """
        self._models = models
        self._manner = manner
        self._held: dict[Key, Held] = {}
        self._aliases: set[str] = set()
        self._changing = anyio.Lock()
        for served in offer.models:
            self._held[key_of(served)] = Held(models, served, manner)
        self._name(offer)

    async def watch(self) -> None:
        """Reload models whose files change, for ever."""
        while True:
            await anyio.sleep(INTERVAL)
            async with self._changing:
                for held in self._held.values():
                    if await held.source.has_changed():
                        await held.load(GOES_ON)

    async def apply(self, offer: Offer) -> None:
        """Offer this from now on.

        Models that are new, or wanted with other settings, are loaded first; then aliases move, and
        models that are no longer wanted close once their accepted requests are answered. A new
        model that cannot be loaded is left out.
        """
        async with self._changing:
            wanted = {key_of(served): served for served in offer.models}
            for alias in self._aliases & {name for name, _ in wanted}:
                self._models.unalias(alias)
                self._aliases.discard(alias)
            for key, served in wanted.items():
                await (self._change(key, served) if key in self._held else self._add(key, served))
            ending = [self._remove(key) for key in self._held.keys() - wanted.keys()]
            self._name(offer)
            for model in ending:
                await model.unload()
            log.info("%d models are served", len(self._held))

    async def _add(self, key: Key, served: Served) -> None:
        self._held[key] = held = Held(self._models, served, self._manner)
        if not await held.load("and is left out"):
            self._remove(key)

    async def _change(self, key: Key, served: Served) -> None:
        held = self._held[key]
        before = held.source
        if served == before.served and not held.model.reason:
            return
        held.source = Source(served, self._manner)
        if await held.load(GOES_ON):
            held.model.max_rows = served.max_rows
        else:
            held.source = before

    def _remove(self, key: Key) -> Model:
        del self._held[key]
        name, version = key
        return self._models.remove(name, version)

    def _name(self, offer: Offer) -> None:
        """Let the aliases be those of `offer`."""
        for alias in self._aliases - offer.aliases.keys():
            self._models.unalias(alias)
        self._aliases = set()
        for alias, target in offer.aliases.items():
            try:
                self._models.alias(alias, target.model, target.version)
            except InvalidInput as error:  # its model was left out
                log.error("%s", error)
            else:
                self._aliases.add(alias)


def key_of(served: Served) -> Key:
    """What tells versions of models apart."""
    return served.name, served.version
