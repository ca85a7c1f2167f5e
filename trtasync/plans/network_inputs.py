"""The inputs of a TensorRT network, for which profiles are completed."""

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
    """The inputs that profiles must cover.

    Args:
        network: the TensorRT network.
        tensors: its inputs.
        batch_axes: tensor name -> batch axis, or None for none; by default found by names.
        axes: tensor name -> its axes, if the network does not know their names.
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
    """A spec in which only the axes matter."""
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
