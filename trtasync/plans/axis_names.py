"""What an ONNX file calls the axes of its inputs and outputs, which plans do not record."""

from typing import Any

from trtasync.model.tensors import Dim


def axis_names(model: Any) -> dict[str, tuple[Dim, ...]]:
    """The axes of every input and output, as ONNX Runtime reports them: what the file leaves out is
    inferred from the inputs, so that padded outputs are cut the same way on CPU and GPU.

    Args:
        model: an `onnx.ModelProto`.
    """
    known = _declared(model)
    names = [value.name for value in model.graph.output]
    if any(name not in known or None in known[name] for name in names):
        known = _merged(known, _inferred(model))
    return known


def _declared(model: Any) -> dict[str, tuple[Dim, ...]]:
    return {
        value.name: tuple(map(_dim, value.type.tensor_type.shape.dim))
        for value in (*model.graph.input, *model.graph.output)
        if value.type.tensor_type.HasField("shape")
    }


def _dim(dim: Any) -> Dim:
    return int(dim.dim_value) if dim.HasField("dim_value") else dim.dim_param or None


def _inferred(model: Any) -> dict[str, tuple[Dim, ...]]:
    from onnx import shape_inference

    try:
        return _declared(shape_inference.infer_shapes(model))
    except Exception:  # a model that it cannot follow, or of 2 GB: the declared axes have to do
        return {}


def _merged(
    known: dict[str, tuple[Dim, ...]], inferred: dict[str, tuple[Dim, ...]]
) -> dict[str, tuple[Dim, ...]]:
    found = dict(inferred)
    for name, dims in known.items():
        others = inferred.get(name, ())
        if len(others) == len(dims):
            pairs = zip(dims, others, strict=True)
            found[name] = tuple(other if dim is None else dim for dim, other in pairs)
        else:
            found[name] = dims
    return found
