"""What the server and its models say of themselves."""

from collections.abc import Sequence
from typing import Any

from trtasync.server.protocol.tensors import Interface, Tensor

EXTENSIONS = (
    "classification",
    "schedule_policy",
    "model_configuration",
    "binary_tensor_data",
    "parameters",
    "statistics",
)
"""Those of Triton's that there are here, in its order and by its names."""

REPOSITORY = ("model_repository", "model_repository(unload_dependents)")
"""There too where models may be loaded and unloaded."""


def server_metadata(version: str, repository: bool) -> dict[str, Any]:
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
) -> dict[str, Any]:
    """GET v2/models/M.

    Args:
        name: of the model.
        versions: of it that are ready.
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


def model_config(name: str, platform: str, interface: Interface, max_rows: int) -> dict[str, Any]:
    """GET v2/models/M/config, as far as Triton's clients look.

    Args:
        name: of the model.
        platform: what runs it.
        interface: where it takes batches, dimensions are told without the batch axis.
        max_rows: of a request of a model that takes batches.
    """
    batches = interface.takes_batches
    return {
        "name": name,
        "platform": platform,
        "max_batch_size": max_rows if batches else 0,
        "input": [
            _config(each, batches) | {"optional": False} for each in interface.inputs.values()
        ],
        "output": [_config(each, batches) for each in interface.outputs.values()],
        "model_transaction_policy": {"decoupled": False},
        **({"dynamic_batching": {}} if batches else {}),
    }


def _metadata(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}


def _config(tensor: Tensor, batches: bool) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "data_type": f"TYPE_{tensor.datatype}",
        "dims": tensor.shape[1:] if batches else tensor.shape,
        "is_shape_tensor": tensor.is_shape_tensor,
    }
