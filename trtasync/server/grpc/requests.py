"""From ModelInferRequest to a plan and arrays, the same as at the other doors."""

from collections.abc import Sequence

import msgspec
import numpy as np

from trtasync.model.arrays import Array
from trtasync.model.tensors import MOST_AXES
from trtasync.server.grpc.descriptors import CHOICE
from trtasync.server.grpc.views import InferRequest, InputTensor, Parameters
from trtasync.server.protocol import schema
from trtasync.server.protocol.datatypes import DATATYPES, NOT_IN_JSON
from trtasync.server.protocol.parameters import input_parameters
from trtasync.server.protocol.refusals import Refusal
from trtasync.server.protocol.requests import Plan, plan_of
from trtasync.server.protocol.tensors import Interface, from_binary

MEANINGLESS = "triton_enable_empty_final_response"
"""A parameter of Triton's clients that changes nothing: the last answer is marked without it."""

MOST_PARTS = 1024
"""Most inputs, outputs and parameters of a request, all together."""

MOST_ELEMENTS = 1 << 18
"""Most elements of an input that come one by one, which takes some hundredths of a second."""

_DTYPES = {datatype: name for name, datatype in DATATYPES.items()}
_FIELDS = {
    "BOOL": ("bool_contents", "bool"),
    **dict.fromkeys(("INT8", "INT16", "INT32"), ("int_contents", "int32")),
    "INT64": ("int64_contents", "int64"),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), ("uint_contents", "uint32")),
    "UINT64": ("uint64_contents", "uint64"),
    "FP32": ("fp32_contents", "float32"),
    "FP64": ("fp64_contents", "float64"),
}
"""Per datatype the field of InferTensorContents, and the dtype of its elements there."""


def read_request(request: InferRequest, interface: Interface) -> tuple[Plan, dict[str, Array]]:
    """The plan of a request, and its inputs by name.

    Raises:
        Refusal: it does not suit the model.
    """
    _check_parts(request)
    own = [_parameters(each.parameters) for each in request.inputs]
    for each, parameters in zip(request.inputs, own, strict=True):
        input_parameters(each.name, parameters)  # refuses shared memory, before its data are missed
    contents = _contents(request)
    plan = plan_of(_canonical(request, own, contents), interface)
    arrays = {
        tensor.name: from_binary(tensor, shape, content, 0)
        for (tensor, shape, *_), content in zip(plan.given, contents, strict=True)
    }
    return plan, arrays


def _check_parts(request: InferRequest) -> None:
    """Refuse too many parts: each takes microseconds, in which the event loop stands still."""
    tensors = [request.inputs, request.outputs]
    count = len(request.parameters) + sum(map(len, tensors))
    if count <= MOST_PARTS:
        count += sum(len(tensor.parameters) for each in tensors for tensor in each)
    if count > MOST_PARTS:
        raise Refusal(
            f"a request has at most {MOST_PARTS} inputs, outputs and parameters, and not {count}."
        )


def _canonical(
    request: InferRequest, own: Sequence[schema.Parameters], contents: Sequence[bytes]
) -> schema.InferRequest:
    """The request as it would come over HTTP with all tensors as binary data.

    Args:
        request: as it came.
        own: the parameters of its inputs.
        contents: the bytes of its inputs.
    """
    parameters = _parameters(request.parameters)
    parameters.pop(MEANINGLESS, None)
    inputs = [
        {
            "name": each.name,
            "shape": tuple(each.shape[: MOST_AXES + 1]),
            "datatype": each.datatype,
            "parameters": its | {"binary_data_size": len(content)},
        }
        for each, its, content in zip(request.inputs, own, contents, strict=True)
    ]
    outputs = [
        {"name": each.name, "parameters": _parameters(each.parameters) | {"binary_data": True}}
        for each in request.outputs
    ]
    whole = {
        "inputs": inputs,
        "outputs": outputs,
        "parameters": parameters | {"binary_data_output": True},
    }
    try:
        return msgspec.convert(whole, schema.InferRequest)
    except msgspec.ValidationError as error:
        raise Refusal(f"the request: {error}.") from None


def _parameters(given: Parameters) -> schema.Parameters:
    """Parameters by name; one without a value is refused."""
    found: schema.Parameters = {}
    for name, parameter in given.items():
        field = parameter.WhichOneof(CHOICE)
        if field is None:
            raise Refusal(f"parameter '{name}' has no value that is known here.")
        found[name] = getattr(parameter, field)
    return found


def _contents(request: InferRequest) -> Sequence[bytes]:
    """The bytes of each input, in whichever field they came."""
    raw = request.raw_input_contents
    if not raw:
        return [_typed(each) for each in request.inputs]
    if both := [each.name for each in request.inputs if each.HasField("contents")]:
        raise Refusal(f"the inputs {both} have contents beside raw_input_contents; give one.")
    if len(raw) != len(request.inputs):
        raise Refusal(
            f"raw_input_contents must hold one entry for each of {len(request.inputs)} inputs, "
            f"not {len(raw)}."
        )
    return list(raw)


def _typed(given: InputTensor) -> bytes:
    """The bytes of an input that came element by element."""
    name, datatype = given.name, given.datatype
    if datatype in NOT_IN_JSON:  # nor in these contents
        raise Refusal(f"input '{name}' is {datatype}, which goes in raw_input_contents only.")
    if datatype not in _FIELDS:
        return b""  # no input of any model is that
    field, dtype = _FIELDS[datatype]
    found = [each.name for each, _ in given.contents.ListFields()]
    if found not in ([], [field]):
        raise Refusal(f"input '{name}' is {datatype}, which goes in {field}, not in {found}.")
    elements = getattr(given.contents, field)
    if len(elements) > MOST_ELEMENTS:
        raise Refusal(
            f"{field} of input '{name}' holds at most {MOST_ELEMENTS} elements, not "
            f"{len(elements)}; send them in raw_input_contents.",
            status=413,
        )
    array: Array = np.fromiter(elements, dtype, len(elements))
    narrow = array.astype(_DTYPES[datatype])
    if narrow.dtype != array.dtype and (narrow != array).any():
        raise Refusal(f"contents of input '{name}' hold a number that is too large for {datatype}.")
    return narrow.tobytes()
