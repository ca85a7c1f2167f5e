"""Requests and answers of one model; plans for JSON that was seen before are remembered."""

import re
from collections.abc import Mapping

from trtasync.model.arrays import Array
from trtasync.server.protocol.answers import Answer, write_answer
from trtasync.server.protocol.numbers import MOST_JSON
from trtasync.server.protocol.refusals import Refusal
from trtasync.server.protocol.requests import Plan, raw_request, read_request
from trtasync.server.protocol.tensors import Bytes, Interface

KEPT = 256
"""Most plans that are remembered of a model."""

LONGEST_KEPT = 2048
"""Most bytes of JSON whose plan is remembered: JSON without data is shorter."""

_LENGTH = re.compile(r"[0-9]{1,18}")

_ID_FIRST = re.compile(rb'\{[ \t]*"id"[ \t]*:[ \t]*("[ !#-\[\]-~]+")[ \t]*,')
"""An id, the first key as all of Triton's clients write it, of characters that need no escape."""


class Codec:
    """From the bytes of one model's requests to arrays, and from arrays to the bytes of answers.

    Attributes:
        name: of the model, as answers tell it.
        version: likewise.
        interface: what the model takes and gives.
    """

    def __init__(self, name: str, version: str, interface: Interface):
        """Start without remembered plans."""
        self.name = name
        self.version = version
        self.interface = interface
        self._plans: dict[bytes, Plan] = {}

    def read(self, body: Bytes, json_length: str | None) -> tuple[Plan, bytes, memoryview]:
        """Read a request.

        Args:
            body: the whole of it, decompressed.
            json_length: its Inference-Header-Content-Length; None without one.

        Returns:
            its plan, its id as JSON (empty for none), and the bytes behind its JSON.

        Raises:
            Refusal: it is no request for this model.
        """
        size = json_size(json_length, len(body))
        if size > MOST_JSON:
            raise Refusal(
                f"the JSON of a request has at most {MOST_JSON} bytes, not {size}; send tensors as "
                "binary data.",
                status=413,
            )
        view = memoryview(body)
        if not size and json_length is not None:
            return raw_request(len(body), self.interface), b"", view
        return *self.plan(view[:size]), view[size:]

    def plan(self, header: Bytes) -> tuple[Plan, bytes]:
        """The plan of a request with this JSON, and its id as JSON (empty for none).

        JSON that differs only in its id shares a plan. Raises Refusal.
        """
        if len(header) > LONGEST_KEPT:
            plan = read_request(header, self.interface)
            return plan, plan.id
        header, id = bytes(header), b""
        known = self._plans.get(header)
        if known is None and (found := _ID_FIRST.match(header)):
            id = found[1]
            header = b"{" + header[found.end() :]
            known = self._plans.get(header)
        if known is not None:
            return known, id
        plan = read_request(header, self.interface)
        if plan.is_reusable:
            self._keep(header, plan)
        return plan, plan.id or id

    def _keep(self, header: bytes, plan: Plan) -> None:
        if len(self._plans) >= KEPT:
            del self._plans[next(iter(self._plans))]  # the oldest
        self._plans[header] = plan

    def answer(self, plan: Plan, id: bytes, outputs: Mapping[str, Array]) -> Answer:
        """The answer to a request.

        Args:
            plan: of the request.
            id: of the request, as JSON; empty for none.
            outputs: of the model, by name.

        Raises:
            Refusal: an output is wanted as JSON, which cannot carry it.
            TrtasyncError: an output is not what the model declares.
        """
        return write_answer(self.name, self.version, plan, id, outputs)


def json_size(said: str | None, whole: int) -> int:
    """The length of the JSON at the front of a body of `whole` bytes. Raises Refusal."""
    if said is None:
        return whole
    if not _LENGTH.fullmatch(said.strip()):
        raise Refusal(f"Inference-Header-Content-Length must be a number, not {said!r}.")
    if int(said) > whole:
        raise Refusal(
            f"Inference-Header-Content-Length is {int(said)}, and the whole body has {whole} bytes."
        )
    return int(said)
