"""The inputs of a network of TensorRT, as profiles are completed for them."""

from collections.abc import Mapping, Sequence

import numpy as np

from trtasync.model.axes import AxisNames
from trtasync.model.tensors import Dim, ModelSpec, TensorSpec
from trtasync.plans import resolve
from trtasync.plans.api import NetworkDefinition, Tensor
from trtasync.runtimes.tensorrt.plans import as_tuple


def network_inputs(
    network: NetworkDefinition,
    tensors: Sequence[Tensor],
    batch_axes: Mapping[str, int | None] | None,
    axes: AxisNames,
) -> list[resolve.NetworkInput]:
    """What profiles have to be given for.

    Args:
        network: of TensorRT.
        tensors: its inputs.
        batch_axes: tensor name -> batch axis, or None for none; found by the names by default.
        axes: tensor name -> its axes, where the network does not know their names.
    """
    outputs = [network.get_output(index) for index in range(network.num_outputs)]
    spec = ModelSpec.from_tensors(
        [_spec(tensor, axes) for tensor in tensors],
        [_spec(tensor, axes) for tensor in outputs],
        batch_axes,
    )
    counts = {tensor.name: _values(tensor) for tensor in tensors if tensor.is_shape_tensor}
    return resolve.inputs_of(spec, counts)


def _spec(tensor: Tensor, axes: AxisNames) -> TensorSpec:
    """Its axes are all that matters here."""
    dims = as_tuple(tensor.shape)
    known = axes.get(tensor.name, ())
    names = known if len(known) == len(dims) else (None,) * len(dims)
    shape: list[Dim] = []
    for index, (dim, name) in enumerate(zip(dims, names, strict=True)):
        called = name if isinstance(name, str) else tensor.get_dimension_name(index)
        shape.append(dim if dim >= 0 else called or None)
    return TensorSpec(tensor.name, np.dtype(np.uint8), tuple(shape), host=tensor.is_shape_tensor)


def _values(tensor: Tensor) -> int:
    dims = as_tuple(tensor.shape)
    return dims[0] if dims else 1
