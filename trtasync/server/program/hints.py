"""How a model can be asked from a shell, to be read and pasted."""

import json
import math

from trtasync.server.protocol.tensors import Interface

MOST_NUMBERS = 160
"""Of a request that is written out."""


def curl_for(url: str, name: str, interface: Interface, options: str = "") -> str:
    """A command that asks a model, with zeros where a request can be told by what it declares.

    Args:
        url: of the server.
        name: of the model.
        interface: of it.
        options: further ones of curl, with a blank behind.
    """
    model = f"curl -s {options}{url}/v2/models/{name}"
    shapes = {tensor.name: _smallest(tensor.shape) for tensor in interface.inputs.values()}
    inputs = list(interface.inputs.values())
    count = sum(math.prod(shape) for shape in shapes.values())
    if all(tensor.goes_as_json for tensor in inputs) and count <= MOST_NUMBERS:
        told = [
            {
                "name": tensor.name,
                "datatype": tensor.datatype,
                "shape": shapes[tensor.name],
                "data": [False if tensor.datatype == "BOOL" else 0]
                * math.prod(shapes[tensor.name]),
            }
            for tensor in inputs
        ]
        return f"{model}/infer -d '{json.dumps({'inputs': told}, separators=(',', ':'))}'"
    if len(inputs) == 1 and -1 not in inputs[0].shape[1:] and interface.takes_batches:
        size = count * inputs[0].dtype.itemsize
        return (
            f"head -c {size} /dev/zero | curl -s {options}--data-binary @- "
            f"-H 'Inference-Header-Content-Length: 0' {url}/v2/models/{name}/infer"
        )
    return model


def _smallest(shape: tuple[int, ...]) -> list[int]:
    return [1 if dim < 0 else dim for dim in shape]
