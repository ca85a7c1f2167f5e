"""What a server offers: its own description, and arrays that a model there takes."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from msgspec import Struct

from trtasync.errors import InvalidInput
from trtasync.model.arrays import Array
from trtasync.model.tensors import TensorSpec
from trtasync.server.protocol.datatypes import DATATYPES


class ToldTensor(Struct, frozen=True):
    """An input, as the metadata of a model tell it."""

    name: str
    datatype: str
    shape: tuple[int, ...]


class Metadata(Struct, frozen=True):
    """GET v2/models/M."""

    name: str
    inputs: tuple[ToldTensor, ...]
    platform: str = ""


class Config(Struct, frozen=True):
    """GET .../config, of Triton and servers like it."""

    max_batch_size: int = 0


class Server(Struct, frozen=True):
    """GET v2."""

    name: str
    version: str = ""


class Client(Protocol):
    """Asks a server about one of its models, and sends requests to that one.

    What the server refuses raises QueueFull (it has too much to do), TimeoutError (the request's
    time ran out), InferenceError (it failed) or InvalidInput (anything else). BackendUnavailable:
    there is no server, or it does not speak the protocol.
    """

    async def server(self) -> Server:
        """What the server says of itself."""

    async def metadata(self) -> Metadata:
        """What the model takes."""

    async def config(self) -> Config:
        """What only Triton and servers like it tell."""

    def request(self, inputs: Mapping[str, Array]) -> Any:
        """Make a request to the model, with all inputs and outputs as binary data."""

    async def infer(self, request: Any) -> None:
        """Send a request and await its answer; the first answer is checked in all its parts.

        Raises:
            TrtasyncError: the first answer does not hold the outputs that it tells of.
        """

    async def aclose(self) -> None:
        """End all connections."""


def specs_of(metadata: Metadata, takes_batches: bool) -> list[TensorSpec]:
    """A model's inputs.

    Args:
        metadata: of the model.
        takes_batches: rows lie along the first axis of each.

    Raises:
        InvalidInput: numpy has no dtype for one of them.
    """
    axis = 0 if takes_batches else None
    return [
        TensorSpec(
            told.name,
            _dtype(told),
            tuple(None if length < 0 else length for length in told.shape),
            batch_axis=axis,
        )
        for told in metadata.inputs
    ]


def _dtype(told: ToldTensor) -> np.dtype[Any]:
    for name, datatype in DATATYPES.items():
        if datatype == told.datatype and name != "bfloat16":  # which plain numpy lacks
            return np.dtype(name)
    raise InvalidInput(
        f"input '{told.name}' is {told.datatype}, for which no requests can be made."
    )


def arrays_of(specs: Sequence[TensorSpec], request: Any) -> dict[str, Array]:
    """The arrays of a request as the protocol has them, with all axes.

    Args:
        specs: of the model's inputs.
        request: as `measure.Inputs` makes it: an array, or arrays by name; one row needs no axis.
    """
    given = request if isinstance(request, dict) else {specs[0].name: request}
    return {spec.name: _whole(spec, given[spec.name]) for spec in specs}


def _whole(spec: TensorSpec, array: Array) -> Array:
    if spec.batch_axis is not None and array.ndim < len(spec.shape):
        return np.expand_dims(array, spec.batch_axis)
    return array
