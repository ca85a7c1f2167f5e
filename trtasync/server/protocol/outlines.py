"""Refusing a long JSON that does not consist of tensors' data.

msgspec makes an object of every name, number and parameter, and holds the GIL meanwhile: megabytes
of these would stop the event loop for seconds. Here it skips data, without making objects of it.
"""

import msgspec
import numpy as np
from msgspec import Struct

from trtasync.server.protocol.numbers import LARGE_JSON
from trtasync.server.protocol.refusals import Refusal
from trtasync.server.protocol.tensors import Bytes

MOST_OBJECTS = LARGE_JSON // 16
"""Most objects in a long JSON: its tensors, and their parameters."""


class _Data(Struct, frozen=True):
    data: msgspec.Raw = msgspec.Raw()


class _Outline(Struct, frozen=True):
    inputs: list[_Data]


_outlines = msgspec.json.Decoder(_Outline)


def check_outline(json: Bytes) -> None:
    """Check that nearly all of a long JSON is the data of its inputs.

    Raises:
        Refusal: it is not.
        msgspec.MsgspecError, UnicodeDecodeError, RecursionError: it is no JSON of a request.
    """
    objects = int(np.count_nonzero(np.frombuffer(json, np.uint8) == ord("{")))
    if objects > MOST_OBJECTS:
        raise Refusal(
            f"the JSON of a request has at most {MOST_OBJECTS} objects, not {objects}.", status=413
        )
    data = sum(len(memoryview(each.data)) for each in _outlines.decode(json).inputs)
    if len(json) - data > LARGE_JSON:
        raise Refusal(
            f"the JSON of a request has at most {LARGE_JSON} bytes beside the data of its inputs, "
            f"not {len(json) - data}.",
            status=413,
        )
