"""Several models to a replica: the one not asked for longest makes room for another."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, ClassVar

import anyio
from ray import serve

from trtasync.engine import Engine
from trtasync.errors import InvalidInput
from trtasync.integrations.ray_serve.deadlines import Deadline
from trtasync.integrations.ray_serve.openings import Openings
from trtasync.integrations.ray_serve.progress import Progress
from trtasync.integrations.ray_serve.replica import infer_within, until
from trtasync.opening.api import open_engine
from trtasync.opening.arguments import Model
from trtasync.server.users import Users


def ended_by_ray(thing: object, aclose: Callable[[], Awaitable[None]]) -> None:
    """Have Ray await `aclose`, which it looks for as `__del__`.

    That is an attribute of the object and not of its class: the interpreter, when it frees the
    object, looks at the class only, and would not await it.
    """
    thing.__dict__["__del__"] = aclose


class Leased:
    """An engine that is closed when it is evicted, but not before its users have gone.

    Ray evicts by awaiting the model's `__del__`, which is of the object (`ended_by_ray`).

    Attributes:
        engine: open.
        users: those who have asked it, or are about to.
        progress: of the engine.
    """

    def __init__(self, engine: Engine, progress: Progress, kept: "set[Leased]"):
        """Of an open engine; `kept` has this until it is closed."""
        self.engine: Engine = engine
        self.users: Users = Users()
        self.progress: Progress = progress
        self.closing: asyncio.Task[None] | None = None
        self._kept = kept
        ended_by_ray(self, self.evict)
        kept.add(self)

    async def evict(self) -> None:
        """Wait for the users, and close the engine. Cancelled, a task goes on with it."""
        if self.closing is None:
            self.closing = asyncio.get_running_loop().create_task(self._close())
        await asyncio.shield(self.closing)

    async def _close(self) -> None:
        await self.users.wait_none()
        await self.engine.aclose()
        self._kept.discard(self)


class ManyModels:
    """Engines by a model's id, asked by handles: `Client(handle).infer(x, model="...")`.

    A subclass that has something to close closes it in `aclose`.

    Attributes:
        find: gives the model of an id; set by `multiplexed`, like all that is not told in
            `__init__`.
        known: ids that there are; None where only `find` can tell, after room was made.
        options: for `open_engine`, of every model.
        stalled_after: seconds within which some batch of an engine has to end while it has work.
        leased: engines that are not closed yet.
    """

    find: ClassVar[Callable[[str], Model]]
    known: Collection[str] | None = None
    options: Mapping[str, Any]
    stalled_after: float

    def __init__(self) -> None:
        """No model is open yet."""
        self.leased: set[Leased] = set()
        self._openings = Openings()
        ended_by_ray(self, self.aclose)

    async def load(self, model: str) -> Leased:
        """Open a model. `multiplexed` makes Ray keep what it returns, for later requests.

        Ray calls it for one model at a time, and not again while it waits.
        """
        await self._evicted()
        engine = await self._openings.open(model, self.open)
        return Leased(engine, Progress(engine, self.stalled_after), self.leased)

    async def open(self, model: str) -> Engine:
        """Open the engine of a model."""
        engine: Engine = await open_engine(
            type(self).find(model), **{"name": model, **self.options}
        )
        return engine

    async def infer(
        self, inputs: Any, *, priority: int = 0, deadline: Deadline | None = None
    ) -> Any:
        """Run the model that the request names; see `Replica.infer`.

        Raises:
            InvalidInput: it names none, or one that there is not.
        """
        model = serve.get_multiplexed_model_id()
        if not model:
            raise InvalidInput("there are several models here; name one: infer(x, model='...').")
        return await self.infer_on(model, inputs, priority=priority, deadline=deadline)

    async def infer_on(
        self, model: str, inputs: Any, *, priority: int = 0, deadline: Deadline | None = None
    ) -> Any:
        """The same, for a subclass that knows the model by other means."""
        if self.known is not None and model not in self.known:  # or another one would be evicted
            raise InvalidInput(f"there is no model {model!r}.", name="model", got=model)
        with until(deadline):
            leased = await self.load(model)
        with leased.users:  # in the same turn of the loop, or it may be evicted in between
            return await infer_within(leased.engine, inputs, priority, deadline)

    async def check_health(self) -> None:
        """See `Replica.check_health`; of every engine."""
        for leased in self.leased:
            leased.progress.check(anyio.current_time())

    async def aclose(self) -> None:
        """Wait for engines that are being closed; Ray evicts the others itself, after this."""
        await self._openings.aclose()
        await self._evicted()

    async def _evicted(self) -> None:
        """Until no engine is being closed; whoever had to wait for that may have given up."""
        closing = [leased.closing for leased in self.leased if leased.closing is not None]
        if closing:
            await asyncio.wait(closing)
