"""Requests of ModelInfer, with what was seen before at hand."""

from typing import NamedTuple

from trtasync.model.arrays import Array
from trtasync.server.deployments import Deployment
from trtasync.server.grpc.messages import INFERENCE
from trtasync.server.grpc.requests import read_request
from trtasync.server.grpc.views import InferRequest
from trtasync.server.grpc.wire import Cut, cut
from trtasync.server.models import Models
from trtasync.server.protocol.codec import KEPT, LONGEST_KEPT, Codec
from trtasync.server.protocol.refusals import Refusal
from trtasync.server.protocol.requests import Plan
from trtasync.server.protocol.tensors import from_binary

MOST_HEAD = 1 << 20
"""Bytes of a request beside its raw contents. protobuf and Python read these on the event loop, a
hundred times slower than those."""

Key = tuple[bytes, tuple[int, ...]]
"""Of a request all but its id and the bytes of its tensors, whose sizes are here."""


class Read(NamedTuple):
    """A request.

    Attributes:
        deployment: that it is for.
        plan: of it.
        id: in UTF-8.
        arrays: its inputs, by name.
    """

    deployment: Deployment
    plan: Plan
    id: bytes
    arrays: dict[str, Array]


class Known(NamedTuple):
    """What is remembered of requests that differ in ids and tensors only.

    Attributes:
        model: its name, and its version if that was asked for.
        codec: of what answered then; of no other is this known.
        plan: of all of them.
    """

    model: tuple[str, str | None]
    codec: Codec
    plan: Plan


class Reader:
    """Reads requests, and remembers them."""

    def __init__(self, models: Models):
        """For these models. Nothing is known yet."""
        self._models = models
        self._known: dict[Key, Known] = {}

    def read(self, content: bytes) -> Read:
        """The request that these bytes are.

        Raises:
            Refusal: they are none, or none for a model here.
        """
        parts = cut(content)
        if parts is None or not parts.raw or not _is_text(parts.id):
            return self._read_anew(content, parts)
        key = parts.head, tuple(map(len, parts.raw))
        known = self._known.get(key)
        if known is not None:
            deployment = self._models.deployed(*known.model)
            if deployment.codec is known.codec:
                arrays = {
                    given.tensor.name: from_binary(given.tensor, given.shape, raw, 0)
                    for given, raw in zip(known.plan.given, parts.raw, strict=True)
                }
                return Read(deployment, known.plan, parts.id, arrays)
        return self._read_anew(content, parts, key if len(parts.head) <= LONGEST_KEPT else None)

    def _read_anew(self, content: bytes, parts: Cut | None, key: Key | None = None) -> Read:
        """By protobuf; it is remembered by its `key`."""
        _check_head(len(content) - (0 if parts is None else sum(map(len, parts.raw))))
        request: InferRequest = INFERENCE.parse("ModelInferRequest", content)
        model = request.model_name, request.model_version or None
        deployment = self._models.deployed(*model)
        plan, arrays = read_request(request, deployment.codec.interface)
        if key is not None:
            if len(self._known) >= KEPT and key not in self._known:
                del self._known[next(iter(self._known))]  # the oldest
            self._known[key] = Known(model, deployment.codec, plan)
        return Read(deployment, plan, request.id.encode(), arrays)


def _check_head(size: int) -> None:
    if size > MOST_HEAD:
        raise Refusal(
            f"a request has at most {MOST_HEAD} bytes beside its raw_input_contents, not {size}; "
            "send tensors there.",
            status=413,
        )


def id_of(content: bytes) -> str:
    """The id of a request that is refused; empty where it has none that can be told."""
    parts = cut(content)
    return parts.id.decode(errors="replace") if parts is not None else ""


def _is_text(id: bytes) -> bool:
    try:
        id.decode()
    except UnicodeDecodeError:
        return False
    return True
