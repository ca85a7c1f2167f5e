"""The parameters of a request and of its tensors."""

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from trtasync.server.protocol.refusals import Refusal
from trtasync.server.protocol.schema import (
    RESERVED,
    InputParameters,
    OutputParameters,
    Parameters,
    RequestParameters,
)

Known = TypeVar("Known", RequestParameters, InputParameters, OutputParameters)


def request_parameters(given: Parameters) -> RequestParameters:
    """The parameters of the request; those without a meaning here are ignored.

    Raises:
        Refusal: one is of the wrong type, reserved, or for a sequence, which no engine knows.
    """
    if reserved := [name for name in given if name.startswith(RESERVED) or name == "headers"]:
        raise Refusal(f"the parameters {reserved} are reserved; leave them out.")
    read = _read(given, RequestParameters, "the request")
    if read.sequence_id not in (0, "") or read.sequence_start or read.sequence_end:
        raise Refusal(
            "no model here has sequences; leave out sequence_id, sequence_start and sequence_end."
        )
    return read


def input_parameters(name: str, given: Parameters) -> InputParameters:
    """The parameters of the input `name`. Raises Refusal."""
    read = _read(given, InputParameters, f"input '{name}'")
    _refuse_shared_memory(read.shared_memory_region)
    return read


def output_parameters(name: str, given: Parameters) -> OutputParameters:
    """The parameters of the output `name`. Raises Refusal."""
    read = _read(given, OutputParameters, f"output '{name}'")
    _refuse_shared_memory(read.shared_memory_region)
    return read


def _read(given: Mapping[str, object], kind: type[Known], whose: str) -> Known:
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise Refusal(f"parameters of {whose}: {error}.") from None


def _refuse_shared_memory(region: str | None) -> None:
    if region is not None:
        raise Refusal("this server maps no shared memory; send the tensor itself.", status=501)
