"""Reading requests of ModelInfer; plans of those seen before are remembered."""

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
"""Most bytes of a request beside its raw contents: protobuf and Python read them on the event loop,
a hundred times slower than raw contents."""

Key = tuple[bytes, tuple[int, ...]]
"""All of a request but its id and its tensors' bytes, and the sizes of these."""


class Read(NamedTuple):
    """A request.

    Attributes:
        deployment: the deployment that answers it.
        plan: its plan.
        id: in UTF-8.
        arrays: its inputs, by name.
    """

    deployment: Deployment
    plan: Plan
    id: bytes
    arrays: dict[str, Array]


class Known(NamedTuple):
    """What is remembered of requests that differ only in ids and tensors.

    Attributes:
        model: its name, and its version if that was asked for.
        codec: of the deployment that answered then; the plan holds for no other.
        plan: the plan of all of them.
    """

    model: tuple[str, str | None]
    codec: Codec
    plan: Plan


class Reader:
    """Reads requests, and remembers them."""

    def __init__(self, models: Models):
        """Read requests for these models. Nothing is known yet."""
        self._models = models
        self._known: dict[Key, Known] = {}

    def read(self, content: bytes) -> Read:
        """Read a request from its bytes.

        Raises:
            Refusal: they are no request, or none for a model here.
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
        """Read a request by protobuf, and remember it by its `key` if there is one."""
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
    """The id of a request that is refused; empty if it has none that can be read."""
    parts = cut(content)
    return parts.id.decode(errors="replace") if parts is not None else ""


def _is_text(id: bytes) -> bool:
    try:
        id.decode()
    except UnicodeDecodeError:
        return False
    return True
