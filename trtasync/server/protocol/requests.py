"""From the JSON of an infer request to a plan: where each tensor's bytes lie, what is wanted.

What depends on the JSON alone is done here, once for equal bytes (see `codec`); what depends on the
tensors' bytes is left to `tensors`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from trtasync.model.arrays import Array, Shape
from trtasync.model.tensors import MOST_TENSOR_BYTES
from trtasync.server.protocol.numbers import LARGE_JSON
from trtasync.server.protocol.outlines import check_outline
from trtasync.server.protocol.parameters import (
    input_parameters,
    output_parameters,
    request_parameters,
)
from trtasync.server.protocol.refusals import Refusal
from trtasync.server.protocol.schema import (
    UNREADABLE,
    InferRequest,
    InputTensor,
    OutputTensor,
)
from trtasync.server.protocol.tensors import Bytes, Interface, Tensor, from_binary, from_json

_requests = msgspec.json.Decoder(InferRequest)


class Given(NamedTuple):
    """One input of a request.

    Attributes:
        tensor: which input of the model.
        shape: of what came.
        start: where its bytes begin, counted from the end of the JSON.
        array: the array, if it came as JSON data; None if it lies in the bytes.
    """

    tensor: Tensor
    shape: Shape
    start: int
    array: Array | None


class Wanted(NamedTuple):
    """One output of the answer.

    Attributes:
        tensor: which output of the model.
        binary: as bytes behind the JSON, not as JSON data.
        classes: how many of the highest values, with their indices, are wanted instead of the
            tensor; 0 for the tensor.
    """

    tensor: Tensor
    binary: bool
    classes: int


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What the JSON of a request says.

    Attributes:
        given: in the order of their bytes.
        wanted: in the order of the answer.
        in_json: names of outputs that go as JSON.
        size: bytes that follow the JSON.
        timeout: seconds that the request may take; None without limit.
        priority: as `Engine.infer` takes it.
        id: as JSON, to be repeated in the answer; empty for none.
        row: the shape, without batch axis, of what follows the JSON, if that is one row of the only
            input and its bytes need no check; otherwise None.
        texts: parts of its answers, kept by `answers` and `grpc.inference`.
    """

    given: tuple[Given, ...]
    wanted: tuple[Wanted, ...]
    in_json: tuple[str, ...]
    size: int
    timeout: float | None = None
    priority: int = 0
    id: bytes = b""
    row: Shape | None = None
    texts: dict[Any, tuple[bytes, ...]] = field(default_factory=dict)

    @property
    def is_reusable(self) -> bool:
        """Whether the next request with the same JSON may use it; it then keeps no array alive."""
        return not self.id and all(each.array is None for each in self.given)

    def arrays(self, binary: Bytes) -> dict[str, Array]:
        """The inputs by name; those in `binary`, the bytes behind the JSON, are views of it.

        Raises:
            Refusal: there are more bytes, or fewer, than the JSON says.
        """
        if len(binary) != self.size:
            raise Refusal(
                f"{self.size} bytes of binary data should follow the request's JSON, and "
                f"{len(binary)} do; Inference-Header-Content-Length is the length of the JSON."
            )
        return {
            tensor.name: from_binary(tensor, shape, binary, start) if array is None else array
            for tensor, shape, start, array in self.given
        }


def read_request(header: Bytes, interface: Interface) -> Plan:
    """Read the JSON of a request.

    Raises:
        Refusal: it is no JSON of an infer request, or does not suit the model.
    """
    try:
        if len(header) > LARGE_JSON:
            check_outline(header)
        request = _requests.decode(header)
    except UNREADABLE as error:
        raise Refusal(f"the JSON of the request: {error}.{_hint(header)}") from None
    return plan_of(request, interface)


def plan_of(request: InferRequest, interface: Interface) -> Plan:
    """The plan of a request, whatever form it came in.

    Raises:
        Refusal: it does not suit the model.
    """
    options = request_parameters(request.parameters)
    _check_names("input", [each.name for each in request.inputs], interface.inputs)
    _check_names("output", [each.name for each in request.outputs], interface.outputs)
    if missing := interface.inputs.keys() - {each.name for each in request.inputs}:
        raise Refusal(f"the request lacks the inputs {sorted(missing)} of the model.")
    given, size = _given(request.inputs, interface)
    asked = request.outputs or [OutputTensor(name) for name in interface.outputs]
    wanted = tuple(_wanted(each, interface, options.binary_data_output) for each in asked)
    return Plan(
        given,
        wanted,
        tuple(each.tensor.name for each in wanted if not (each.binary or each.classes)),
        size,
        options.timeout / 1e6 if options.timeout else None,
        options.priority,
        msgspec.json.encode(request.id) if request.id else b"",
        _row(given, interface),
    )


def raw_request(size: int, interface: Interface) -> Plan:
    """The plan of a body of `size` bytes without JSON: the only input's data, for one row.

    Raises:
        Refusal: the model has several inputs or open dimensions, or its rows have another size.
    """
    tensors = list(interface.inputs.values())
    tensor = tensors[0]
    dims = [1 if at == tensor.batch_axis else dim for at, dim in enumerate(tensor.shape)]
    if len(tensors) > 1 or dims.count(-1) > 1:
        raise Refusal(
            "a request without JSON (Inference-Header-Content-Length: 0) is for models of one "
            "input with at most one open dimension; name the inputs and their shapes in JSON."
        )
    step = tensor.dtype.itemsize * math.prod(dim for dim in dims if dim != -1)
    open_dim, rest = divmod(size, step) if step else (0, size)
    if rest or (-1 not in dims and open_dim != 1):
        raise Refusal(f"{size} bytes are no {tensor.datatype} of shape {dims} for '{tensor.name}'.")
    shape = tuple(open_dim if dim == -1 else dim for dim in dims)
    wanted = tuple(Wanted(output, True, 0) for output in interface.outputs.values())
    given = (Given(tensor, shape, 0, None),)
    return Plan(given, wanted, (), size, row=_row(given, interface))


def _row(given: Sequence[Given], interface: Interface) -> Shape | None:
    """See `Plan.row`."""
    if interface.sole is None:
        return None
    ((tensor, shape, _, array),) = given
    if array is not None or tensor.datatype == "BOOL":
        return None
    is_one = len(shape) == len(tensor.shape) and shape[0] == 1 and 0 not in shape
    return shape[1:] if is_one else None


def _given(inputs: Sequence[InputTensor], interface: Interface) -> tuple[tuple[Given, ...], int]:
    """The inputs, and how many bytes follow the JSON for them."""
    given, start = [], 0
    for each in inputs:
        tensor = interface.inputs[each.name]
        size = _check_size(each, tensor)
        binary = _is_binary(each, tensor, size)
        array = None if binary else from_json(tensor, each.shape, memoryview(each.data))
        given.append(Given(tensor, each.shape, start, array))
        start += size if binary else 0
    return tuple(given), start


def _check_size(each: InputTensor, tensor: Tensor) -> int:
    """Check an input's datatype and size; return its bytes."""
    if each.datatype != tensor.datatype:
        raise Refusal(f"input '{each.name}' is {tensor.datatype}, not {each.datatype}.")
    if tensor.dtype.itemsize * math.prod(dim or 1 for dim in each.shape) > MOST_TENSOR_BYTES:
        raise Refusal(f"shape {list(each.shape)} of input '{each.name}' is more than any memory.")
    return tensor.dtype.itemsize * math.prod(each.shape)


def _is_binary(each: InputTensor, tensor: Tensor, size: int) -> bool:
    """Whether an input comes behind the JSON, not in it."""
    said = input_parameters(each.name, each.parameters).binary_data_size
    has_data = bytes(each.data) not in (b"", b"null")
    if (said is not None) == has_data:
        found = "both" if has_data else "neither"
        raise Refusal(f"input '{each.name}' has {found} of data and binary_data_size; give one.")
    if said not in (None, size):
        raise Refusal(
            f"input '{each.name}' of shape {list(each.shape)} is {size} bytes of {tensor.datatype},"
            f" and not {said}."
        )
    return said is not None


def _wanted(each: OutputTensor, interface: Interface, binary_by_default: bool) -> Wanted:
    tensor = interface.outputs[each.name]
    options = output_parameters(each.name, each.parameters)
    binary = binary_by_default if options.binary_data is None else options.binary_data
    if not (binary or options.classification or tensor.goes_as_json):
        raise Refusal(
            f"output '{tensor.name}' is {tensor.datatype}, which JSON cannot carry; ask for it as "
            'binary data ("binary_data": true).'
        )
    if options.classification and tensor.dtype.kind == "b":
        raise Refusal(
            f"output '{tensor.name}' is BOOL, which has no highest values to classify by."
        )
    return Wanted(tensor, binary, options.classification)


def _check_names(what: str, names: Sequence[str], known: Mapping[str, Tensor]) -> None:
    for name in names:
        if name not in known:
            raise Refusal(f"the model has no {what} '{name}'; its {what}s are {list(known)}.")
    if len(set(names)) < len(names):
        raise Refusal(f"the request names an {what} twice: {list(names)}.")


def _hint(header: Bytes) -> str:
    """What is most often wrong with JSON, if that shows; otherwise empty."""
    if any(word in bytes(header) for word in (b"NaN", b"Infinity")):
        return " JSON has no NaN and no Infinity; send such a tensor as binary data."
    return ""
