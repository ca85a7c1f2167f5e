"""ModelStreamInfer: many requests on one call."""

from collections.abc import Iterator
from contextlib import contextmanager

import anyio
from anyio.abc import TaskGroup
from grpc import stream_stream_rpc_method_handler
from grpc.aio import EOF, BaseError

from trtasync.server.failures import log_unexpected
from trtasync.server.grpc.calls import Handler, follow_trace, metadata_of, refuse, told
from trtasync.server.grpc.inference import LAST, Inference
from trtasync.server.grpc.messages import INFERENCE
from trtasync.server.grpc.reading import id_of
from trtasync.server.grpc.views import Call
from trtasync.server.grpc.wire import in_stream
from trtasync.server.protocol.refusals import Refusal

ENDS_ON_FAILURE = "triton_grpc_error"
"""Metadata by which a client has its first failure end the stream, with that failure's status."""


class Streams:
    """All open streams. Each is answered in the order of its requests, which need no ids."""

    def __init__(self, inference: Inference, most: int):
        """`most`: requests of one stream that are in progress at once."""
        self._inference = inference
        self._most = most
        self._reading: set[anyio.CancelScope] = set()
        self._is_draining = False

    @property
    def handler(self) -> Handler:
        """For grpcio."""

        async def serve(_: object, call: Call) -> None:
            follow_trace(call)
            failure = await self._serve(call)
            if isinstance(failure, BaseError):
                raise failure  # grpcio's own, which grpcio handles
            if failure is not None:
                await refuse(call, failure)

        return stream_stream_rpc_method_handler(serve)

    def drain(self) -> None:
        """Read no more requests: streams end when those already read are answered."""
        self._is_draining = True
        for scope in self._reading:
            scope.cancel()

    async def _serve(self, call: Call) -> Exception | None:
        """Answer one stream; return what ended it, if its client did not."""
        stream = _Stream(self._inference, call, self._most)
        async with anyio.create_task_group() as tasks:
            with self._while_open() as reading:
                while (content := await call.read()) is not EOF:
                    await stream.take(content, tasks)
        if stream.failure is None and reading.cancelled_caught:
            return Refusal("the server is ending; ask another one.", status=503)
        return stream.failure

    @contextmanager
    def _while_open(self) -> Iterator[anyio.CancelScope]:
        """A scope that `drain` cancels."""
        with anyio.CancelScope() as scope:
            if self._is_draining:
                scope.cancel()
            self._reading.add(scope)
            try:
                yield scope
            finally:
                self._reading.discard(scope)


class _Stream:
    """One stream.

    Attributes:
        failure: what ended it; None as long as nothing has.
    """

    def __init__(self, inference: Inference, call: Call, most: int):
        self.failure: Exception | None = None
        self._inference = inference
        self._call = call
        self._room = anyio.Semaphore(most)
        self._ends_on_failure = metadata_of(call, ENDS_ON_FAILURE) == "true"
        self._turn = anyio.Event()
        self._turn.set()

    async def take(self, content: bytes, tasks: TaskGroup) -> None:
        """Start a request as soon as there is room for it."""
        await self._room.acquire()
        turn, self._turn = self._turn, anyio.Event()
        tasks.start_soon(self._answer, content, turn, self._turn, tasks.cancel_scope)

    async def _answer(
        self, content: bytes, turn: anyio.Event, next_turn: anyio.Event, whole: anyio.CancelScope
    ) -> None:
        """Run a request, and answer it when it is its turn."""
        answer, failure = await self._outcome(content)
        await turn.wait()
        if failure is None or not self._ends_on_failure:
            failure = await self._write(answer)
        if failure is not None:
            self.failure = failure
            whole.cancel()
            return
        next_turn.set()
        self._room.release()

    async def _write(self, answer: bytes) -> Exception | None:
        """Write an answer to the client; return the error if it is gone."""
        gone: Exception | None = None
        try:
            await self._call.write(answer)
        except BaseError as error:
            gone = error
        return gone

    async def _outcome(self, content: bytes) -> tuple[bytes, Exception | None]:
        """The answer to a request, and the error if it failed."""
        try:
            return in_stream(await self._inference.infer(content, self._call, in_stream=True)), None
        except Exception as error:
            if not self._ends_on_failure:
                log_unexpected(error)
            return _refusal(id_of(content), error), error


def _refusal(id: str, error: Exception) -> bytes:
    """The answer to a request that failed: why, its id, and nothing else."""
    answer = INFERENCE.make("ModelInferResponse", id=id, parameters=LAST)
    return INFERENCE.make(
        "ModelStreamInferResponse", error_message=told(error), infer_response=answer
    ).SerializeToString()
