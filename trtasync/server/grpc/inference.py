"""Answers requests for models: ModelInfer, and what a stream of them is made of."""

from collections.abc import Mapping
from types import MappingProxyType

import anyio

from trtasync.server.grpc.messages import INFERENCE
from trtasync.server.grpc.requests import read_request
from trtasync.server.grpc.views import Call, InferRequest, Message
from trtasync.server.models import Models
from trtasync.server.protocol.answers import content_of
from trtasync.server.protocol.datatypes import BYTES
from trtasync.server.protocol.requests import Plan
from trtasync.server.protocol.tensors import Array

NOTHING: Mapping[str, Message] = MappingProxyType({})


class Inference:
    """From a request to its answer."""

    def __init__(self, models: Models):
        """Of these models."""
        self._models = models

    async def infer(
        self, request: InferRequest, call: Call, told: Mapping[str, Message] = NOTHING
    ) -> Message:
        """ModelInfer. Cancelled, it withdraws the request.

        Args:
            request: as it came.
            call: that brought it.
            told: parameters of the answer.

        Raises:
            Refusal: it is no request for a model here.
            TimeoutError: neither its `timeout` nor the deadline of its call is later.
            TrtasyncError: what becomes of it otherwise.
        """
        deployment = self._models.deployed(request.model_name, request.model_version or None)
        plan, arrays = read_request(request, deployment.codec.interface)
        with deployment.users, anyio.fail_after(_patience(plan, call)):
            outputs = await deployment.engine.infer(arrays, priority=plan.priority)
        about, raw = _tensors(plan, outputs)
        return INFERENCE.make(
            "ModelInferResponse",
            model_name=deployment.codec.name,
            model_version=deployment.codec.version,
            id=request.id,
            parameters=told,
            outputs=about,
            raw_output_contents=raw,
        )


def _patience(plan: Plan, call: Call) -> float | None:
    """Seconds until nobody waits for the answer any more; None without limit."""
    limits = [each for each in (plan.timeout, call.time_remaining()) if each is not None]
    return min(limits, default=None)


def _tensors(
    plan: Plan, outputs: Mapping[str, Array]
) -> tuple[list[dict[str, object]], list[bytes]]:
    """What is told of each output, and its bytes: Triton's clients read none but raw ones."""
    about: list[dict[str, object]] = []
    raw = []
    for wanted in plan.wanted:
        shape, content = content_of(wanted, outputs[wanted.tensor.name])
        datatype = BYTES if wanted.classes else wanted.tensor.datatype
        about.append({"name": wanted.tensor.name, "datatype": datatype, "shape": shape})
        raw.append(bytes(content))
    return about, raw
