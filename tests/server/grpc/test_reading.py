"""Requests that were seen before are read as if they were not, and answers are as protobuf's."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.helpers import rows, tensor
from tests.server.grpc.clients import parameters, request
from tests.server.serving import models_of
from trtasync.server.grpc import wire
from trtasync.server.grpc.messages import INFERENCE
from trtasync.server.grpc.reading import MOST_HEAD, Read, Reader, id_of
from trtasync.server.models import Models
from trtasync.server.protocol.codec import KEPT
from trtasync.server.protocol.refusals import Refusal
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

X = np.ones((2, 4), np.float32)
WHOLE = INFERENCE.make(
    "ModelInferRequest",
    model_name="m",
    model_version="1",
    id="seven",
    parameters=parameters(timeout=5),
    inputs=[
        {"name": "x", "datatype": "FP32", "shape": [2, 4]},
        {"name": "flag", "datatype": "BOOL", "shape": [2, 1]},
    ],
    outputs=[{"name": "y"}],
    raw_input_contents=[X.tobytes(), b"\1\0"],
).SerializeToString()


def field(number: int, content: bytes) -> bytes:
    """One of a message, of bytes."""
    return wire._begin(number, len(content)) + content


def two_inputs() -> Models:
    """A model of the inputs of `WHOLE`."""
    return models_of(
        ScriptedBackend(
            lambda x, flag: x,
            inputs=[tensor("x", "N", 4), tensor("flag", "N", "W", dtype=bool)],
            outputs=[tensor("y", "N", 4)],
        )
    )


def told(reader: Reader, content: bytes) -> Any:
    """What a request says, comparable; a refusal as one."""
    try:
        found = reader.read(content)
    except Refusal as refusal:
        return str(refusal), refusal.status
    arrays = {name: (each.shape, each.tobytes()) for name, each in found.arrays.items()}
    plan = found.plan
    return found.id, arrays, plan.wanted, plan.timeout, plan.priority, plan.given


async def test_whatever_is_known_bytes_say_the_same() -> None:
    async with two_inputs() as models:

        @settings(max_examples=400, deadline=None)
        @given(
            st.lists(
                st.tuples(
                    st.integers(0, len(WHOLE)),
                    st.sampled_from(["change", "cut", "insert"]),
                    st.binary(max_size=4),
                ),
                max_size=3,
            )
        )
        def same(spoils: list[tuple[int, str, bytes]]) -> None:
            content = WHOLE
            for at, how, piece in spoils:
                rest = at if how == "insert" else at + len(piece) + (how == "cut")
                content = content[:at] + (b"" if how == "cut" else piece) + content[rest:]
            fresh = told(Reader(models), content)
            assert told(knowing, content) == fresh
            assert told(knowing, content) == fresh  # now it is known, if it is right

        knowing = Reader(models)
        assert isinstance(knowing.read(WHOLE), Read)
        same()


async def test_what_is_known_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with models_of(ScriptedBackend(np.negative)) as models:
        reader = Reader(models)
        first = reader.read(request(rows([1]), id="a").SerializeToString())
        second = reader.read(request(rows([2]), id="b").SerializeToString())
        assert second.plan is first.plan
        assert second.id == b"b"
        np.testing.assert_array_equal(second.arrays["x"], rows([2]))
        third = reader.read(request(rows([1, 2])).SerializeToString())  # another shape
        assert third.plan is not first.plan


async def test_tensors_are_where_they_came() -> None:
    async with models_of(ScriptedBackend(np.negative)) as models:
        reader = Reader(models)
        content = request(rows([1])).SerializeToString()
        reader.read(content)
        array = reader.read(content).arrays["x"]
        assert np.shares_memory(array, np.frombuffer(content, np.uint8))


async def test_nothing_is_known_of_a_model_that_was_replaced() -> None:
    async with models_of(ScriptedBackend(np.negative)) as models:
        reader = Reader(models)
        content = request(rows([1])).SerializeToString()
        before = reader.read(content)
        await models.find("m").load()
        after = reader.read(content)
        assert after.deployment is models.deployed("m")
        assert after.plan is not before.plan
        await models.find("m").unload()
        with pytest.raises(Refusal, match="UNAVAILABLE"):
            reader.read(content)


async def test_no_more_is_remembered_than_may_be() -> None:
    async with models_of(ScriptedBackend(np.negative)) as models:
        reader = Reader(models)
        for timeout in range(1, 2 * KEPT):
            asked = request(rows([1]), parameters=parameters(timeout=timeout))
            reader.read(asked.SerializeToString())
        assert len(reader._known) == KEPT
        own = parameters(timeout=1, note="x" * 3000)
        reader.read(request(rows([1]), parameters=own).SerializeToString())
        assert max(len(head) for head, _ in reader._known) < 3000


@settings(max_examples=100)
@given(st.text(max_size=200), st.lists(st.binary(max_size=300), max_size=3))
def test_an_answer_is_one_of_protobuf(id: str, raw: list[bytes]) -> None:
    about: Any = {"model_name": "m", "outputs": [{"name": "y", "shape": [1, 2]}]}
    head = INFERENCE.make("ModelInferResponse", **about).SerializeToString()
    whole = INFERENCE.make("ModelInferResponse", **about, id=id, raw_output_contents=raw)
    content = wire.answer(head, id.encode(), raw)
    assert INFERENCE.parse("ModelInferResponse", content) == whole
    stream = INFERENCE.parse("ModelStreamInferResponse", wire.in_stream(content))
    assert stream == INFERENCE.make("ModelStreamInferResponse", infer_response=whole)


@pytest.mark.parametrize(
    ("piece", "whole"),
    [
        (WHOLE, MOST_HEAD + 1),  # inputs without end
        (field(6, b"\x0a\1y"), MOST_HEAD + 1),
        (field(7, b""), 8 << 20),
        (field(5, field(5, field(6, b"\0" * (MOST_HEAD + 4)))), MOST_HEAD + 1),  # elements
        (b"\x0a", MOST_HEAD + 1),
    ],
    ids=["inputs", "outputs", "raw", "elements", "nonsense"],
)
async def test_a_long_head_is_refused_before_it_is_read(piece: bytes, whole: int) -> None:
    content = WHOLE + piece * (whole // len(piece) + 1)
    async with two_inputs() as models:
        with pytest.raises(Refusal, match="send tensors there") as refused:
            Reader(models).read(content)
    assert refused.value.status == 413


async def test_raw_contents_are_no_part_of_the_head() -> None:
    x = np.ones((MOST_HEAD // 8, 4), np.float32)
    async with models_of(ScriptedBackend()) as models:
        found = Reader(models).read(request(x).SerializeToString())
        np.testing.assert_array_equal(found.arrays["x"], x)


def test_the_id_of_what_is_refused() -> None:
    assert id_of(WHOLE) == "seven"
    assert id_of(b"\x0a") == ""
    assert id_of(b"\x1a\x01\xff") == "\ufffd"
