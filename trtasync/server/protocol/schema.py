"""What the JSON of an infer request may hold. msgspec checks it, and says what is wrong where."""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from trtasync.model.tensors import MOST_AXES, MOST_TENSOR_BYTES

Parameter = bool | int | float | str
Parameters = dict[str, Parameter]
Dimension = Annotated[int, Meta(ge=0, le=MOST_TENSOR_BYTES)]
Count = Annotated[int, Meta(ge=0)]
Microseconds = Annotated[int, Meta(ge=0, le=2**63 - 1)]  # as gRPC carries them

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding raises where bytes are no JSON, or not of the kind that is wanted."""

RESERVED = "triton_"
"""What begins so is between Triton and its own fronts."""


class InputTensor(Struct, frozen=True):
    """One tensor that is sent; `data` is read when its datatype is known."""

    name: str
    shape: Annotated[tuple[Dimension, ...], Meta(max_length=MOST_AXES)]
    datatype: str
    data: msgspec.Raw = msgspec.Raw()
    parameters: Parameters = {}


class OutputTensor(Struct, frozen=True):
    """One tensor that is asked for."""

    name: str
    parameters: Parameters = {}


class InferRequest(Struct, frozen=True):
    """The whole."""

    inputs: tuple[InputTensor, ...]
    outputs: tuple[OutputTensor, ...] = ()
    id: str = ""
    parameters: Parameters = {}


class OfRequest(Struct, frozen=True):
    """The parameters of a request that mean something here: `timeout` is in microseconds."""

    timeout: Microseconds = 0
    priority: Count = 0
    binary_data_output: bool = False
    sequence_id: int | str = 0
    sequence_start: bool = False
    sequence_end: bool = False


class OfInput(Struct, frozen=True):
    """Those of an input."""

    binary_data_size: Count | None = None
    shared_memory_region: str | None = None


class OfOutput(Struct, frozen=True):
    """Those of an output; `classification` is how many classes are wanted, 0 for the tensor."""

    binary_data: bool | None = None
    classification: Count = 0
    shared_memory_region: str | None = None
