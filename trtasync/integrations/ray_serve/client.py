"""Asking a deployment as one asks an engine."""

import asyncio
from typing import Any

import anyio.lowlevel
from ray.exceptions import (
    ActorUnavailableError,
    ObjectRefStreamEndOfStreamError,
    RayActorError,
    RayTaskError,
    TaskCancelledError,
)
from ray.serve.exceptions import (
    BackPressureError,
    DeploymentUnavailableError,
    ReplicaUnavailableError,
    RequestCancelledError,
)

from trtasync.errors import EngineClosed, QueueFull
from trtasync.integrations.ray_serve.backpressure import Overloaded
from trtasync.integrations.ray_serve.deadlines import Deadline
from trtasync.integrations.ray_serve.failures import RayErrors, as_ours

RAY = RayErrors(
    task=RayTaskError,
    replica=(RayActorError, ActorUnavailableError, ReplicaUnavailableError),
    crowded=BackPressureError,
    unavailable=(DeploymentUnavailableError,),
    # the last: how a call ends in the default mode when its task was cancelled in the replica
    cancelled=(TaskCancelledError, RequestCancelledError, ObjectRefStreamEndOfStreamError),
)

SLACK = 0.05
"""Seconds by which the timers of a loop may be late where a replica's were not."""

CANCELLED: tuple[type[BaseException], ...] = (asyncio.CancelledError, *RAY.cancelled)


class Client:
    """A deployment behind its handle: `await client.infer(x)`, with what an engine promises.

    Of Ray's own calls a late or cancelled one is computed all the same, and errors come in various
    wrappers. For asyncio, which is all that Ray's handles know.
    """

    def __init__(self, handle: Any):
        """Of a handle, such as `serve.run(app)`, `serve.get_app_handle(name)` or what Ray gives a
        deployment for another one that it was bound to."""
        self._handle = handle
        self._infer: Any = None

    async def infer(self, inputs: Any, *, priority: int = 0, model: str = "") -> Any:
        """Run the model, as `Engine.infer` does.

        The time that is left of the caller's deadline goes along, so that a replica does not
        compute what would come too late. A cancelled request leaves the replica's queue.

        Args:
            inputs: as `Engine.infer` takes them, in host memory.
            priority: likewise.
            model: of a deployment of several models, the one to ask.

        Returns:
            what `Engine.infer` returns; of a subclass of `Replica`, whatever that returns.

        Raises:
            TrtasyncError: what `Engine.infer` raises. `QueueFull` is a `BackPressureError` too, so
                that Ray's ingresses answer it by 429.
            DeviceLost: the replica died under this request.
            BackendUnavailable: the deployment has failed to deploy.
            TimeoutError: the caller's deadline has passed.
        """
        deadline = Deadline.of_caller()
        named = {"priority": priority, "deadline": deadline}
        # Ray sends each name and each value by itself; two of them cost it 0.1 ms of CPU
        told = {name: value for name, value in named.items() if value}
        return await _answer(self._method(model).remote(inputs, **told), deadline)

    def _method(self, model: str) -> Any:
        if self._infer is None:  # not earlier: it may belong to the loop that it is first used on
            self._infer = self._handle.options(method_name="infer")
        # made anew rather than kept, as there may be any number of models; they share one router
        return self._infer.options(multiplexed_model_id=model) if model else self._infer


async def _answer(response: Any, deadline: Deadline | None) -> Any:
    """What a response turns out to be. Cancelled, it cancels what was asked."""
    try:
        return await response
    except CANCELLED:
        response.cancel()
        # Ray raises anew what it is cancelled by, and a scope would not know that for its own
        await anyio.lowlevel.checkpoint_if_cancelled()
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError from None
        raise EngineClosed("Ray cancelled this request: its replica is shutting down.") from None
    except Exception as error:  # Ray wraps all there is; `as_ours` leaves what it does not know
        ours = as_ours(error, RAY)
        if isinstance(ours, TimeoutError) and deadline is not None and not deadline.left():
            await anyio.sleep(SLACK)  # which ends here if the caller's scope is only late
        if isinstance(ours, QueueFull) and not isinstance(ours, Overloaded):
            ours = Overloaded.of(ours)
        raise ours from (None if ours is error else error)
