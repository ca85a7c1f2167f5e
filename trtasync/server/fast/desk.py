"""Submitting requests to an engine."""

from abc import ABC, abstractmethod
from asyncio import AbstractEventLoop
from collections.abc import Callable
from contextvars import Context
from functools import partial
from typing import Any

import numpy as np

from trtasync.core.intake import NEVER, REFUSED
from trtasync.core.priorities import read_level
from trtasync.core.records import Observer
from trtasync.core.reservations import Reservation
from trtasync.engine import Engine, inside
from trtasync.model.arrays import Array, Shape
from trtasync.requests.signature import Signature
from trtasync.scheduler import Queue
from trtasync.scheduler.requests import DEFAULT_LEVEL
from trtasync.server.deployments import Deployment
from trtasync.server.fast.heads import Head
from trtasync.server.fast.places import ArrayPlace, Held, ReservedPlace
from trtasync.server.fast.replies import Asked, Asker, ObservedAsked
from trtasync.server.fast.sinks import Place
from trtasync.server.protocol.answers import Answer, is_large
from trtasync.server.protocol.codec import Codec
from trtasync.server.protocol.requests import Plan, raw_request
from trtasync.server.protocol.tensors import Bytes, DType, Tensor

MOST_HELD = 256 << 20
"""Most bytes of another process's memory that incomplete bodies may hold."""


class Desk(ABC):
    """Submits requests to one engine, of whatever kind.

    Attributes:
        asked: makes a request from asker, desk, head, plan and id.
    """

    def __init__(self, codec: Codec, observer: Observer | None = None):
        """`codec`: of the model that the engine runs; `observer`: is told of each request."""
        self.asked: Callable[[Asker, Desk, Head, Plan, bytes], Asked] = Asked
        if observer is not None:
            self.asked = partial(ObservedAsked, observer)
        self._held = Held()
        self._codec = codec
        self._interface = interface = codec.interface
        self._sole = interface.sole
        self._sole_output = next(iter(interface.outputs), "")

    def plan(self, json: Bytes, json_length: int | None, size: int) -> tuple[Plan, bytes]:
        """The plan of a request, and its id as JSON; see `Codec.plan`.

        Args:
            json: of the request.
            json_length: as the head tells it; 0 for a request without JSON, None for one without
                binary data.
            size: bytes of binary data.
        """
        if json_length == 0:
            return raw_request(size, self._interface), b""
        return self._codec.plan(json)

    @abstractmethod
    def ask(self, request: Asked, binary: Bytes) -> None:
        """Submit a request to the engine.

        Args:
            request: receives the outcome.
            binary: what follows its JSON; must not change until then.

        Raises:
            TrtasyncError: the engine refuses the request, which then receives no outcome.
        """

    @abstractmethod
    def reserve(self, request: Asked, size: int) -> Place | None:
        """Reserve rows for a request whose `size` bytes of binary data are still to come.

        Returns:
            the rows; None if the data must be collected elsewhere first.

        Raises:
            TrtasyncError: the engine refuses the request.
        """

    def answer(self, request: Asked) -> Answer:
        """The answer to a request that has its result. Raises why it cannot be answered so."""
        return self._codec.answer(request.plan, request.id, self._outputs(request))

    def is_large(self, request: Asked) -> bool:
        """Whether the answer to a request that has its result takes too long to write on a loop."""
        return is_large(request.plan, self._outputs(request))

    def _outputs(self, request: Asked) -> dict[str, Array]:
        result = request.result
        if type(result) is dict:
            if request.bare:
                return {name: array[np.newaxis] for name, array in result.items()}
            outputs: dict[str, Array] = result
            return outputs
        return {self._sole_output: result[np.newaxis] if request.bare else result}

    def _rows_of(self, request: Asked, size: int) -> Tensor | None:
        """The only tensor of a request, if its data are exactly what is still to come, and need no
        check; sets `request.bare` then."""
        given, sole = request.plan.given[0], self._sole
        if sole is None or given.array is not None or sole.datatype == "BOOL":
            return None
        if request.plan.size != size:
            return None
        request.bare = _is_one_row(given.shape, sole.shape)
        return sole

    def _content(self, request: Asked, binary: Bytes) -> Any:
        """The arrays to submit. One row of the only input goes bare, which is fastest."""
        plan, sole = request.plan, self._sole
        if plan.row is not None and len(binary) == plan.size:
            request.bare = True
            return np.frombuffer(binary, plan.given[0].tensor.dtype).reshape(plan.row)
        arrays = plan.arrays(binary)
        if sole is None or not _is_one_row((array := arrays[sole.name]).shape, sole.shape):
            return arrays
        request.bare = True
        return array[0]


class StraightDesk(Desk):
    """For an engine of this process: a request needs no task and no future."""

    def __init__(self, codec: Codec, engine: Engine):
        """See `Desk`."""
        reader, core, _ = inside(engine)
        super().__init__(codec, core.observer)
        self._reader = reader
        self._signatures = reader.arrays
        self._intake = core.intake
        self._now = core.loop.now

    def ask(self, request: Asked, binary: Bytes) -> None:
        """See `Desk.ask`."""
        plan = request.plan
        content = self._content(request, binary)
        if not request.bare or (signature := self._signatures.get(content.shape)) is None:
            signature, content = self._reader.read(content)
        reservation = Reservation()
        reservation.intake = self._intake  # `Asked.leave` needs it if the client leaves
        special = plan.priority != 0 or plan.timeout is not None
        if special:
            reservation.level = _level(plan)
            reservation.deadline = NEVER if plan.timeout is None else self._now() + plan.timeout
        try:
            self._intake.enter(reservation, signature, content, request, special)
        except REFUSED:
            raise
        except BaseException as error:
            self._intake.leave(reservation, error)
            raise
        if not request.done():
            request.reservation = reservation

    def reserve(self, request: Asked, size: int) -> Place | None:
        """See `Desk.reserve`. None with a timeout, which counts from when the body is complete."""
        plan, tensor = request.plan, self._rows_of(request, size)
        if tensor is None or plan.timeout is not None:
            return None
        shape = plan.given[0].shape
        signature = self._signature(shape[1:] if request.bare else shape, tensor.dtype)
        rows = signature.rows
        if not signature.lies_as_given or 2 * (self._held.amount + rows) > self._intake.limit:
            return None
        return ReservedPlace(self._held, rows, self._intake.reserve(signature, _level(plan)))

    def _signature(self, shape: Shape, dtype: DType) -> Signature[Queue]:
        known = self._signatures.get(shape)
        return known or self._reader.read(np.empty(shape, dtype))[0]


class TaskDesk(Desk):
    """For any other engine, such as a shared one in another process: a request needs a task."""

    def __init__(self, deployment: Deployment, loop: AbstractEventLoop):
        """See `Desk`; `loop` is the engine's."""
        super().__init__(deployment.codec)
        self._engine = deployment.engine
        self._users = deployment.users
        self._loop = loop

    def ask(self, request: Asked, binary: Bytes) -> None:
        """See `Desk.ask`."""
        self.start(request, self._content(request, binary))

    def reserve(self, request: Asked, size: int) -> Place | None:
        """See `Desk.reserve`. An array from `empty_input`, which another process reads directly."""
        tensor = self._rows_of(request, size)
        if tensor is None or self._held.amount + size > MOST_HELD:
            return None
        rows, *row = request.plan.given[0].shape
        array = self._engine.empty_input(
            None if request.bare else rows, name=tensor.name, shape=row
        )
        return ArrayPlace(self._held, array, self.start)

    def start(self, request: Asked, content: Any) -> None:
        """Submit in a task with an empty context: no request may become a child of the span in
        which the server was started."""
        self._users.come()
        task = self._loop.create_task(self._run(request, content), context=Context())
        task.add_done_callback(self._users.go)
        if not request.done():  # it may be, if the loop starts tasks eagerly
            request.task = task

    async def _run(self, request: Asked, content: Any) -> None:
        try:
            result = await self._engine.infer(content, priority=request.plan.priority)
        except Exception as error:
            request.set_exception(error)
        else:
            request.set_result(result)


def _level(plan: Plan) -> int:
    return read_level(plan.priority) if plan.priority else DEFAULT_LEVEL


def _is_one_row(shape: Shape, declared: Shape) -> bool:
    return len(shape) == len(declared) and shape[0] == 1
