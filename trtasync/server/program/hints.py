"""A command for the shell that asks a model, to be read and pasted."""

import json
import math
import shlex

from trtasync.server.protocol.tensors import Interface

MOST_NUMBERS = 160
"""Most numbers of a request that is written out."""


def curl_for(url: str, name: str, interface: Interface, options: str = "") -> str:
    """A command that runs a model on zeros or, if what it declares determines no such request, asks
    for its description.

    Args:
        url: of the server.
        name: of the model.
        interface: of the model.
        options: further options of curl, with a blank after them.
    """
    model = f"curl -s {options}{url}/v2/models/{name}"
    inputs = list(interface.inputs.values())
    if any(-1 in tensor.shape[1:] for tensor in inputs) or not interface.takes_batches:
        return model  # the lengths that it takes are not guessed
    shapes = {tensor.name: [1, *tensor.shape[1:]] for tensor in inputs}
    count = sum(map(math.prod, shapes.values()))
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
        body = json.dumps({"inputs": told}, separators=(",", ":"))
        return f"{model}/infer -d {shlex.quote(body)}"
    if len(inputs) == 1:
        size = count * inputs[0].dtype.itemsize
        return (
            f"head -c {size} /dev/zero | curl -s {options}--data-binary @- "
            f"-H 'Inference-Header-Content-Length: 0' {url}/v2/models/{name}/infer"
        )
    return model
