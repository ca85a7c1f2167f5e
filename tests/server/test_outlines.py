"""A long JSON is one of long tensors, or it is refused before all of it is made into objects."""

import numpy as np
import pytest

from support.helpers import tensor
from tests.server.messages import codec
from trtasync.server.protocol import requests
from trtasync.server.protocol.numbers import LARGE_JSON
from trtasync.server.protocol.outlines import MOST_OBJECTS
from trtasync.server.protocol.refusals import Refusal

WIDE = codec([tensor("x", "N", "W")], [tensor("y", "N", "W")]).interface
INPUT = b'{"name":"x","shape":[1,1],"datatype":"FP32","data":[1]}'


def refusal(json: bytes) -> Refusal:
    """What a long JSON is refused with."""
    assert len(json) > LARGE_JSON
    with pytest.raises(Refusal) as caught:
        requests.read_request(json, WIDE)
    return caught.value


def repeated(piece: bytes) -> bytes:
    """A list of it that makes a JSON long."""
    return b",".join([piece] * (2 * LARGE_JSON // len(piece)))


def test_long_data_are_read() -> None:
    x = np.arange(LARGE_JSON, dtype=np.float32)
    about = b'{"name":"x","shape":[1,%d],"datatype":"FP32","data":%a}' % (x.size, x.tolist())
    json = b'{"inputs":[%s],"id":"{"}' % about
    (given,) = requests.read_request(json, WIDE).given
    assert given.array is not None
    np.testing.assert_array_equal(given.array[0], x)


@pytest.mark.parametrize(
    "json",
    [
        b'{"inputs":[%s]}' % repeated(b"{}"),
        b'{"outputs":[%s],"inputs":5}' % repeated(b'{"name":"y"}'),
        b'{"inputs":[%s],"outputs":[%s]}' % (INPUT, repeated(b'{"name":"y"}')),
    ],
    ids=["empty", "unreadable", "outputs"],
)
def test_many_objects_are_refused(json: bytes) -> None:
    refused = refusal(json)
    assert f"at most {MOST_OBJECTS} objects, not" in str(refused)
    assert refused.status == 413


@pytest.mark.parametrize(
    "json",
    [
        b'{"inputs":[%s]}' % repeated(INPUT),
        b'{"inputs":[%s],"parameters":{%s}}' % (INPUT, repeated(b'"p":1')),
        b'{"inputs":[%s],"id":"%s"}' % (INPUT, b"x" * LARGE_JSON),
        b'{"inputs":[%s],"more":[%s]}' % (INPUT, repeated(b"1")),
        b'{"inputs":[{"name":"x","shape":[%s],"datatype":"FP32","data":[1]}]}' % repeated(b"1"),
        b'{"inputs":[{"name":"%s","shape":[1],"datatype":"FP32"}]}' % (b"x" * LARGE_JSON),
        b'{"inputs":[{"data":[%s]}],"inputs":[%s]}' % (repeated(b"1"), INPUT),
    ],
    ids=["inputs", "parameters", "id", "unknown", "shape", "name", "twice"],
)
def test_what_is_long_beside_data_is_refused(json: bytes) -> None:
    refused = refusal(json)
    assert f"at most {LARGE_JSON} bytes beside the data of its inputs" in str(refused)
    assert refused.status == 413


@pytest.mark.parametrize("json", [b"[" * 2 * LARGE_JSON, b'{"inputs":5}' + b" " * LARGE_JSON])
def test_what_is_no_request_is_refused_in_the_same_words(json: bytes) -> None:
    short = json[:LARGE_JSON]
    with pytest.raises(Refusal) as caught:
        requests.read_request(short, WIDE)
    assert str(refusal(json)) == str(caught.value)
    assert caught.value.status == 400
