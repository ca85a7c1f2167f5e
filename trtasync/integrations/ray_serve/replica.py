"""What runs in a replica: one engine, on the loop that Ray runs a replica's code on."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any

import anyio
from starlette.types import ASGIApp

from trtasync.core.metrics import Statistics
from trtasync.engine import Engine
from trtasync.errors import QueueFull
from trtasync.integrations.ray_serve.backpressure import Overloaded
from trtasync.integrations.ray_serve.deadlines import Deadline
from trtasync.integrations.ray_serve.grpc import CALLS, GrpcCalls, method
from trtasync.integrations.ray_serve.load import Gauge
from trtasync.integrations.ray_serve.progress import Progress
from trtasync.integrations.ray_serve.routing import CAPACITY
from trtasync.integrations.ray_serve.scaling import UTILISATION, WAIT
from trtasync.opening.api import open_engine
from trtasync.opening.arguments import Model
from trtasync.server.asgi import application
from trtasync.server.models import MAX_ROWS, Models


class Replica:
    """One engine, asked by handles (`Client`), over HTTP and over gRPC.

    A subclass may prepare what comes by handles, and finish what goes back:

    class Classes(Replica):
        async def infer(self, image: bytes, **options: Any) -> int:
            return int((await super().infer(decode(image), **options)).argmax())

    Attributes:
        model: what `open_engine` opens; set by `deployment`, like all that is not told in
            `__init__`.
        options: for `open_engine`.
        stalled_after: seconds within which some batch has to end while there is work.
        engine: it.
        models: holds the engine by its name, for HTTP and gRPC.
        grpc_calls: answers calls of the protocol.
    """

    model: Model
    options: Mapping[str, Any]
    stalled_after: float

    async def __init__(self) -> None:  # type: ignore[misc]  # Ray awaits it
        """Open the engine. Raises what `open_engine` raises."""
        self.engine: Engine = await open_engine(self.model, **self.options)
        self.models: Models = Models()
        try:
            rows = self.options.get("max_queue_size") or MAX_ROWS
            self.models.add(self.engine.name, self._opened, max_rows=rows)
            await self.models.__aenter__()
        except BaseException:
            await self.engine.aclose()
            raise
        self.grpc_calls: GrpcCalls = GrpcCalls(self.models)
        self._progress = Progress(self.engine, self.stalled_after)
        self._routed, self._scaled = Gauge(self.engine), Gauge(self.engine)

    async def _opened(self) -> Engine:
        return self.engine

    async def infer(
        self, inputs: Any, *, priority: int = 0, deadline: Deadline | None = None
    ) -> Any:
        """Run the model; see `Client.infer`.

        Args:
            inputs: as `Engine.infer` takes them.
            priority: likewise.
            deadline: when nobody waits for the answer any more; None for never.

        Raises:
            TimeoutError: it has passed.
            Overloaded: the queue is full.
            TrtasyncError: what else `Engine.infer` raises.
        """
        return await infer_within(self.engine, inputs, priority, deadline)

    def application(self) -> ASGIApp:
        """What answers HTTP: the Open Inference Protocol. A subclass may have something else."""
        app = application(self.models, watch_clients=False)  # whoever leaves is cancelled by Ray
        app.router.lifespan_context = _nothing  # this replica opens and closes the models
        return app

    def __serve_build_asgi_app__(self) -> ASGIApp:
        return self.application()

    async def statistics(self) -> Statistics:
        """The engine's counts."""
        return self.engine.statistics()

    async def check_health(self) -> None:
        """Raise what is wrong, if anything is: Ray then puts another replica in this one's place.

        It runs on the engine's loop, so a loop that hangs is found too, by Ray's own timeout.
        """
        self._progress.check(anyio.current_time())

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """What `scaling.by_load` goes by."""
        load = self._scaled.read()
        return {UTILISATION: load.utilisation, WAIT: load.wait}

    async def record_routing_stats(self) -> dict[str, float]:
        """What `routing.CapacityRouter` goes by."""
        return {CAPACITY: self._routed.read().capacity}

    async def __del__(self) -> None:
        """Close the engine: Ray awaits it when the last request is answered."""
        if hasattr(self, "models"):  # it was opened
            await self.models.aclose()


@asynccontextmanager
async def _nothing(app: ASGIApp) -> AsyncIterator[None]:
    yield


for _name in CALLS:
    setattr(Replica, _name, method(_name))


def until(deadline: Deadline | None) -> AbstractContextManager[Any]:
    """A scope that raises TimeoutError when the deadline passes."""
    return anyio.fail_after(None if deadline is None else deadline.left())


async def infer_within(
    engine: Engine, inputs: Any, priority: int, deadline: Deadline | None
) -> Any:
    """`Engine.infer` for as long as somebody waits; a full queue in Ray's terms."""
    try:
        with until(deadline):
            return await engine.infer(inputs, priority=priority)
    except QueueFull as error:
        raise Overloaded.of(error) from error
