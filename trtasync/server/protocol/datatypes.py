"""The protocol's datatypes, and the dtypes of numpy that they stand for."""

from functools import lru_cache
from types import GenericAlias
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta

from trtasync.errors import PlanError
from trtasync.model.tensors import TensorSpec

BYTES = "BYTES"

DATATYPES = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FP16",
    "bfloat16": "BF16",
    "float32": "FP32",
    "float64": "FP64",
}
"""By the name of numpy's dtype. BYTES (strings) is left out: no engine takes strings."""

NOT_IN_JSON = frozenset({"FP16", "BF16"})
"""The protocol has no JSON form of these."""


def datatype_of(spec: TensorSpec) -> str:
    """The protocol's name of a tensor's dtype.

    Raises:
        PlanError: it has none.
    """
    try:
        return DATATYPES[spec.dtype.name]
    except KeyError:
        raise PlanError(
            f"tensor {spec} cannot be served: the protocol has no datatype {spec.dtype}; "
            "cast it inside the model."
        ) from None


def _element(datatype: str) -> Any:
    """What one element may be in JSON."""
    if datatype == "BOOL":
        return bool | Literal[0, 1]
    if datatype.startswith("FP"):
        return float
    if datatype == "UINT64":  # msgspec cannot compare with its upper limit
        return Annotated[int, Meta(ge=0)]
    limits = np.iinfo(datatype.lower())
    return Annotated[int, Meta(ge=int(limits.min), le=int(limits.max))]


@lru_cache(maxsize=512)
def json_decoder(datatype: str, depth: int) -> msgspec.json.Decoder[Any]:
    """A decoder for the data of a tensor: lists, nested `depth` deep, of nothing but elements."""
    kind = _element(datatype)
    for _ in range(depth):
        kind = GenericAlias(list, kind)
    return msgspec.json.Decoder(kind)
