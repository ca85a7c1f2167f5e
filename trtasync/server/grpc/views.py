"""What is read of requests, for type checkers: the classes themselves are made at run time."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NoReturn, Protocol

Metadata = Sequence[tuple[str, str | bytes]]


class Message(Protocol):
    """Any message."""

    def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's name
        """Its bytes."""


class Parameter(Protocol):
    """InferParameter: one value of several types."""

    def WhichOneof(self, group: str) -> str | None:  # noqa: N802 - protobuf's name
        """The name of the field that is set."""


Parameters = Mapping[str, Parameter]


class InputTensor(Protocol):
    """InferInputTensor."""

    name: str
    datatype: str
    shape: Sequence[int]
    parameters: Parameters
    contents: Any
    """InferTensorContents; the names of its fields are data here."""

    def HasField(self, name: str) -> bool:  # noqa: N802 - protobuf's name
        """Whether the field of this name is set."""


class OutputTensor(Protocol):
    """InferRequestedOutputTensor."""

    name: str
    parameters: Parameters


class InferRequest(Protocol):
    """ModelInferRequest."""

    model_name: str
    model_version: str
    id: str
    parameters: Parameters
    inputs: Sequence[InputTensor]
    outputs: Sequence[OutputTensor]
    raw_input_contents: Sequence[bytes]


class ModelRequest(Protocol):
    """A question about one model; an empty version is the highest that is ready."""

    name: str
    version: str


class IndexRequest(Protocol):
    """RepositoryIndexRequest."""

    ready: bool


class ControlRequest(Protocol):
    """RepositoryModelLoadRequest and RepositoryModelUnloadRequest."""

    model_name: str
    parameters: Collection[str]


class HealthRequest(Protocol):
    """HealthCheckRequest."""

    service: str


class Call(Protocol):
    """What grpcio tells a handler of its call."""

    def invocation_metadata(self) -> Metadata | None:
        """What the client sent in the head of the call."""

    def time_remaining(self) -> float | None:
        """Seconds to the client's deadline; None without one."""

    async def read(self) -> Any:
        """Read the bytes of the next request of a stream, or `grpc.aio.EOF`."""

    async def write(self, message: bytes) -> None:
        """Write the bytes of the next answer of a stream; one write at a time."""

    async def abort(self, code: Any, details: str, trailing_metadata: Metadata = ()) -> NoReturn:
        """End the call with this status, by an exception."""
