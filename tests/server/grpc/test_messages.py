"""Our messages beside those of others, in one process."""

from typing import Any

import pytest

from trtasync.server.grpc.messages import HEALTH, INFERENCE
from trtasync.server.protocol.refusals import Refusal

ASKED = ("InferInputTensor", "InferRequestedOutputTensor", "InferParameter", "InferTensorContents")
"""What requests are made of, besides what is called so."""


def described(messages: Any, any_name: str) -> dict[str, Any]:
    """Descriptors by name."""
    found: dict[str, Any] = dict(messages.make(any_name).DESCRIPTOR.file.message_types_by_name)
    return found


def all_of(*files: Any) -> dict[str, Any]:
    """The descriptors of generated modules by their last name, those within others too."""
    found: dict[str, Any] = {}
    waiting = [each for file in files for each in file.DESCRIPTOR.message_types_by_name.values()]
    while waiting:
        descriptor = waiting.pop()
        waiting += descriptor.nested_types
        if not descriptor.GetOptions().map_entry:
            found[descriptor.name] = descriptor
    return found


def form(field: Any) -> list[Any]:
    """What of a field is on the wire, and its name."""
    inner, enum = field.message_type, field.enum_type
    entry = inner is not None and inner.GetOptions().map_entry
    return [
        *(field.name, field.number, field.type, field.is_repeated, field.is_packed),
        list(map(form, inner.fields)) if entry else inner and inner.name,
        enum and [(each.name, each.number) for each in enum.values],
    ]


def test_messages_are_those_of_tritons_client() -> None:
    service = pytest.importorskip("tritonclient.grpc.service_pb2")
    config = pytest.importorskip("tritonclient.grpc.model_config_pb2")
    theirs, ours = all_of(service, config), described(INFERENCE, "ModelInferRequest")
    assert len(ours) >= 40
    for name, message in ours.items():
        known = list(map(form, theirs[name].fields))
        own = list(map(form, message.fields))
        assert [field for field in own if field not in known] == [], name
        if name.endswith("Request") or name in ASKED:
            assert len(own) == len(known), name  # what a client may say, we hear
        if message.oneofs:
            assert {each.containing_oneof for each in theirs[name].fields} != {None}


def test_messages_are_those_of_the_health_service() -> None:
    health = pytest.importorskip("grpc_health.v1.health_pb2")
    theirs, ours = all_of(health), described(HEALTH, "HealthCheckRequest")
    for name, message in ours.items():
        assert list(map(form, message.fields)) == list(map(form, theirs[name].fields))


def test_what_one_writes_the_other_reads() -> None:
    service = pytest.importorskip("tritonclient.grpc.service_pb2")
    theirs = service.ModelInferRequest(model_name="m", raw_input_contents=[b"1", b""])
    theirs.parameters["priority"].uint64_param = 1
    theirs.inputs.add(name="x", shape=[-1, 4]).contents.fp32_contents.extend([1, 2])
    ours = INFERENCE.parse("ModelInferRequest", theirs.SerializeToString())
    assert ours.parameters["priority"].uint64_param == 1
    assert list(ours.inputs[0].shape) == [-1, 4]
    assert list(ours.inputs[0].contents.fp32_contents) == [1, 2]
    assert service.ModelInferRequest.FromString(ours.SerializeToString()) == theirs


@pytest.mark.parametrize("content", [b"\x0a", b"\x0a\x01\xff", b"\x2a\x02\x0a\x05"])
def test_bytes_that_are_no_message(content: bytes) -> None:
    """Cut off, text that is none, a part that is longer than the whole."""
    with pytest.raises(Refusal, match="no ModelInferRequest"):
        INFERENCE.parse("ModelInferRequest", content)
