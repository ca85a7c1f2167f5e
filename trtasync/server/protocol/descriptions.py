"""What the server and its models say of themselves."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

from trtasync.model.arrays import Shape
from trtasync.server.protocol.tensors import Interface, Tensor

EXTENSIONS = (
    "classification",
    "schedule_policy",
    "model_configuration",
    "binary_tensor_data",
    "parameters",
    "statistics",
)
"""The extensions of Triton's that the server has, in Triton's order and by its names."""

REPOSITORY = ("model_repository", "model_repository(unload_dependents)")
"""Those that it has, too, if clients may load and unload models."""


class ServerMetadata(TypedDict):
    """What a server is, and which extensions of the protocol it has."""

    name: str
    version: str
    extensions: list[str]


class TensorMetadata(TypedDict):
    """A tensor of a model; -1 is a length that each request chooses."""

    name: str
    datatype: str
    shape: Shape


class ModelMetadata(TypedDict):
    """What a model takes and gives; `versions` are those that are ready."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class TensorConfig(TypedDict):
    """A tensor in Triton's form."""

    name: str
    data_type: str
    dims: Shape
    is_shape_tensor: bool
    optional: NotRequired[bool]


class TransactionPolicy(TypedDict):
    """How many answers a request has: one, where it is not `decoupled`."""

    decoupled: bool


class ModelConfig(TypedDict):
    """A model's configuration in Triton's form; `dynamic_batching` is there if
    requests share batches."""

    name: str
    platform: str
    max_batch_size: int
    input: list[TensorConfig]
    output: list[TensorConfig]
    model_transaction_policy: TransactionPolicy
    dynamic_batching: NotRequired[dict[str, str]]


def server_metadata(version: str, repository: bool) -> ServerMetadata:
    """GET v2.

    Args:
        version: of the server.
        repository: models may be loaded and unloaded.
    """
    first = EXTENSIONS[:1]
    extensions = [*first, *(REPOSITORY if repository else ()), *EXTENSIONS[1:]]
    return {"name": "trtasync", "version": version, "extensions": extensions}


def model_metadata(
    name: str, versions: Sequence[str], platform: str, interface: Interface
) -> ModelMetadata:
    """GET v2/models/M.

    Args:
        name: of the model.
        versions: its ready versions.
        platform: what runs it.
        interface: of the version asked for. Shapes are told with the batch axis.
    """
    return {
        "name": name,
        "versions": list(versions),
        "platform": platform,
        "inputs": [_metadata(each) for each in interface.inputs.values()],
        "outputs": [_metadata(each) for each in interface.outputs.values()],
    }


def model_config(
    name: str, platform: str, interface: Interface, max_rows: int, *, shares: bool
) -> ModelConfig:
    """GET v2/models/M/config, as far as Triton's clients look.

    Args:
        name: of the model.
        platform: what runs it.
        interface: of the model. If it takes batches, dimensions are told without the batch axis.
        max_rows: most rows of a request to a model that takes batches.
        shares: its requests share batches.
    """
    batches = interface.takes_batches
    config: ModelConfig = {
        "name": name,
        "platform": platform,
        "max_batch_size": max_rows if batches else 0,
        "input": [
            {**_config(each, batches), "optional": False} for each in interface.inputs.values()
        ],
        "output": [_config(each, batches) for each in interface.outputs.values()],
        "model_transaction_policy": {"decoupled": False},
    }
    if batches and shares:
        config["dynamic_batching"] = {}
    return config


def _metadata(tensor: Tensor) -> TensorMetadata:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}


def _config(tensor: Tensor, batches: bool) -> TensorConfig:
    return {
        "name": tensor.name,
        "data_type": f"TYPE_{tensor.datatype}",
        "dims": tensor.shape[1:] if batches else tensor.shape,
        "is_shape_tensor": tensor.is_shape_tensor,
    }
