"""A version of a model: an engine and its codec, opened, replaced under load, and closed."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum

import anyio

from trtasync.engine import Engine, inside
from trtasync.server.protocol.codec import Codec
from trtasync.server.protocol.refusals import Refusal
from trtasync.server.protocol.tensors import Interface
from trtasync.server.users import Users
from trtasync.shared.protocol import AnyEngine

Opener = Callable[[], Awaitable[AnyEngine]]


class State(StrEnum):
    """The state of a version of a model, as the protocol names it."""

    LOADING = "LOADING"
    READY = "READY"
    UNLOADING = "UNLOADING"
    UNAVAILABLE = "UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class Deployment:
    """The engine that answers requests for a version of a model, and what goes with it.

    Attributes:
        engine: runs the requests.
        codec: reads and answers them.
        users: whoever keeps the deployment over an `await` must be one of them.
    """

    engine: AnyEngine
    codec: Codec
    users: Users = field(default_factory=Users)

    async def aclose(self) -> None:
        """Wait until it has no users, then close the engine; cancellation only ends the waiting."""
        try:
            await self.users.wait_none()
        finally:
            await self.engine.aclose()


class Model:
    """One version of a model.

    Attributes:
        name: without version.
        version: a number, as text.
        platform: what runs it, as clients are told.
        max_rows: most rows of a request, as clients are told.
        state: READY as long as it answers, also while it is being replaced.
        reason: why it is in this state, if something went wrong; otherwise "".
        is_missed: the server is not ready without it.
    """

    def __init__(
        self,
        name: str,
        version: str,
        opener: Opener,
        platform: str,
        max_rows: int,
        is_missed: bool,
        changed: Callable[[], None],
    ):
        """Nothing is opened yet; `changed` is called whenever the deployment changes."""
        self.name = name
        self.version = version
        self.platform = platform
        self.max_rows = max_rows
        self.state: State = State.UNAVAILABLE
        self.reason: str = "not loaded yet"
        self.is_missed: bool = is_missed
        self._opener = opener
        self._changed = changed
        self._deployment: Deployment | None = None
        self._changing = anyio.Lock()
        self._loading: anyio.CancelScope | None = None

    @property
    def deployment(self) -> Deployment:
        """The deployment that answers now. Only its `users` may keep it over an `await`: it may be
        replaced at any moment.

        Raises:
            Refusal: there is none (503).
        """
        if self._deployment is None:
            why = f": {self.reason}" if self.reason else ""
            raise Refusal(
                f"model '{self.name}' version {self.version} is {self.state}{why}.", status=503
            )
        return self._deployment

    @property
    def is_ready(self) -> bool:
        """Whether it answers, and has a stream left to compute on."""
        return self._deployment is not None and self._deployment.engine.is_alive

    @property
    def is_lost(self) -> bool:
        """Whether it is open, and has no stream left to compute on."""
        return self._deployment is not None and not self._deployment.engine.is_alive

    def look(self, seconds: float, limit: float) -> None:
        """Give up batches that do not end, in an engine of this process; see `core.stalls`."""
        if self._deployment is not None and isinstance(self._deployment.engine, Engine):
            inside(self._deployment.engine).core.stalls.look(seconds, limit)

    async def load(self) -> None:
        """Open the model, or replace an open one by what its opener gives now.

        The old engine answers until the new one is ready, and then finishes what it has begun.
        Raises what the opener raises, or Refusal if the model is unloaded meanwhile; the old engine
        then stays as it was.
        """
        async with self._changing:
            before = self._deployment
            with anyio.CancelScope() as self._loading:
                await self._replace(before)
            if self._loading.cancelled_caught:
                raise Refusal(f"model '{self.name}' was unloaded while it was loading.", status=503)
            if before is not None:
                await before.aclose()

    async def _replace(self, before: Deployment | None) -> None:
        if before is None:
            self.state, self.reason = State.LOADING, ""
        try:
            self._deployment = await self._open()
        except BaseException as error:
            self.reason = str(error) if isinstance(error, Exception) else "loading was given up"
            self.state = State.UNAVAILABLE if before is None else State.READY
            raise
        self.state, self.reason = State.READY, ""
        self.is_missed = True
        self._changed()

    async def _open(self) -> Deployment:
        engine = await self._opener()
        try:
            interface = Interface(engine.inputs, engine.outputs)
        except BaseException:
            await engine.aclose()
            raise
        return Deployment(engine, Codec(self.name, self.version, interface))

    async def unload(self) -> None:
        """Accept no more requests, answer those already accepted, and close. Twice is fine.

        A load in progress is given up. If cancelled, this closes the engine all the same.
        """
        if self._loading is not None:
            self._loading.cancel()
        with anyio.CancelScope(shield=True):
            await self._changing.acquire()
        before, self._deployment = self._deployment, None
        self.state, self.reason = State.UNLOADING, ""
        self._changed()
        try:
            if before is not None:
                await before.aclose()
        finally:
            self.state, self.reason = State.UNAVAILABLE, "unloaded"
            self._changing.release()
