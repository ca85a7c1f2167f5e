"""Answers requests for models: ModelInfer, and each request of a stream."""

from collections.abc import Mapping

import anyio

from trtasync.model.arrays import Array
from trtasync.server.grpc import wire
from trtasync.server.grpc.messages import INFERENCE
from trtasync.server.grpc.reading import Read, Reader
from trtasync.server.grpc.views import Call
from trtasync.server.models import Models
from trtasync.server.protocol.answers import FORMS, Form, content_of
from trtasync.server.protocol.codec import Codec
from trtasync.server.protocol.datatypes import BYTES
from trtasync.server.protocol.requests import Plan
from trtasync.server.protocol.tensors import Bytes

LAST = {"triton_final_response": INFERENCE.make("InferParameter", bool_param=True)}
"""Parameters that mark the last answer to a request, which every answer in a stream is."""


class Inference:
    """From a request to its answer, both as bytes."""

    def __init__(self, models: Models):
        """Serve these models."""
        self._reader = Reader(models)

    async def infer(self, content: bytes, call: Call, *, in_stream: bool = False) -> bytes:
        """ModelInfer. Cancelled, it withdraws the request.

        Args:
            content: the request as it came.
            call: the call that brought it.
            in_stream: the answer says that it is the last one to its request.

        Raises:
            Refusal: it is no request for a model here.
            TimeoutError: its `timeout`, or the deadline of its call, has passed.
            TrtasyncError: it failed otherwise.
        """
        request = self._reader.read(content)
        with request.deployment.users:
            patience = _patience(request.plan, call)
            if patience is None:
                outputs = await _run(request)
            else:
                with anyio.fail_after(patience):
                    outputs = await _run(request)
        form, raw = _tensors(request.plan, outputs)
        head = _head(request.deployment.codec, request.plan, form, in_stream)
        return wire.answer(head, request.id, raw)


async def _run(request: Read) -> Mapping[str, Array]:
    plan, engine = request.plan, request.deployment.engine
    outputs: Mapping[str, Array] = await engine.infer(request.arrays, priority=plan.priority)
    return outputs


def _patience(plan: Plan, call: Call) -> float | None:
    """Seconds until nobody waits for the answer any more; None without limit."""
    limits = [each for each in (plan.timeout, call.time_remaining()) if each is not None]
    return min(limits, default=None)


def _tensors(plan: Plan, outputs: Mapping[str, Array]) -> tuple[Form, list[Bytes]]:
    """The shape and the bytes of each output: raw, as Triton's clients read nothing else."""
    found = [content_of(wanted, outputs[wanted.tensor.name]) for wanted in plan.wanted]
    return tuple([(shape, None) for shape, _ in found]), [content for _, content in found]


def _head(codec: Codec, plan: Plan, form: Form, in_stream: bool) -> bytes:
    """The part of an answer that describes its outputs; kept with the plan."""
    key = in_stream, form
    known = plan.texts.get(key)
    if known is None:
        if len(plan.texts) >= FORMS:
            plan.texts.clear()
        known = plan.texts[key] = (_told(codec, plan, form, in_stream),)
    return known[0]


def _told(codec: Codec, plan: Plan, form: Form, in_stream: bool) -> bytes:
    about = [
        {
            "name": wanted.tensor.name,
            "datatype": BYTES if wanted.classes else wanted.tensor.datatype,
            "shape": shape,
        }
        for wanted, (shape, _) in zip(plan.wanted, form, strict=True)
    ]
    return INFERENCE.make(
        "ModelInferResponse",
        model_name=codec.name,
        model_version=codec.version,
        parameters=LAST if in_stream else {},
        outputs=about,
    ).SerializeToString()
