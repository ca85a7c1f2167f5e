"""What the JSON of an infer request, and that of its answer, may hold.

msgspec checks requests by this, and says what is wrong where; the OpenAPI document is made from it.
"""

from collections.abc import Mapping
from typing import Annotated, NotRequired, TypedDict

import msgspec
from msgspec import Meta, Struct

from trtasync.model.tensors import MOST_AXES, MOST_TENSOR_BYTES

Parameter = bool | int | float | str
Parameters = dict[str, Parameter]
Dimension = Annotated[int, Meta(ge=0, le=MOST_TENSOR_BYTES)]
Count = Annotated[int, Meta(ge=0)]
Microseconds = Annotated[int, Meta(ge=0, le=2**63 - 1)]  # as gRPC carries them
Data = Annotated[msgspec.Raw, Meta(extra_json_schema={"type": "array"})]
"""Decoded once the datatype is known."""

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding raises if bytes are no JSON, or not of the wanted type."""

RESERVED = "triton_"
"""Parameters that begin with this are between Triton and its own frontends."""


class InputTensor(Struct, frozen=True):
    """A tensor that is sent: as `data`, flat or nested, or behind the JSON as so many bytes as
    `binary_data_size` says."""

    name: str
    shape: Annotated[tuple[Dimension, ...], Meta(max_length=MOST_AXES)]
    datatype: str
    data: Data = msgspec.field(default_factory=msgspec.Raw)
    parameters: Parameters = {}


class OutputTensor(Struct, frozen=True):
    """A tensor that is asked for."""

    name: str
    parameters: Parameters = {}


class InferRequest(Struct, frozen=True):
    """A request to a model; without `outputs` all of them are wanted."""

    inputs: tuple[InputTensor, ...]
    outputs: tuple[OutputTensor, ...] = ()
    id: str = ""
    parameters: Parameters = {}


class RequestParameters(Struct, frozen=True):
    """The parameters of a request that have a meaning here; `timeout` is in microseconds."""

    timeout: Microseconds = 0
    priority: Count = 0
    binary_data_output: bool = False
    sequence_id: int | str = 0
    sequence_start: bool = False
    sequence_end: bool = False


class InputParameters(Struct, frozen=True):
    """The parameters of an input that have a meaning here."""

    binary_data_size: Count | None = None
    shared_memory_region: str | None = None


class OutputParameters(Struct, frozen=True):
    """The parameters of an output that have a meaning here; `classification` is how many classes
    are wanted, 0 for the tensor."""

    binary_data: bool | None = None
    classification: Count = 0
    shared_memory_region: str | None = None


KNOWN_PARAMETERS: Mapping[type[Struct], type[Struct]] = {
    InferRequest: RequestParameters,
    InputTensor: InputParameters,
    OutputTensor: OutputParameters,
}
"""What has parameters -> the parameters that have a meaning here."""


class AnswerParameters(TypedDict):
    """For an output whose data follow the JSON: how many bytes they take."""

    binary_data_size: Count


class AnswerTensor(TypedDict):
    """A tensor of an answer: as `data`, flat, or behind the JSON."""

    name: str
    datatype: str
    shape: list[int]
    data: NotRequired[Data]
    parameters: NotRequired[AnswerParameters]


class InferAnswer(TypedDict):
    """A model's answer; `id` is the request's. `answers` writes it, piece by piece."""

    id: NotRequired[str]
    model_name: str
    model_version: str
    outputs: list[AnswerTensor]
