"""What is suggested to be pasted into a shell."""

import json
import shlex

import numpy as np

from support.helpers import tensor
from trtasync.model.tensors import TensorSpec
from trtasync.server.program.hints import curl_for
from trtasync.server.protocol.tensors import Interface

Y = tensor("y", "N", 1)


def hint(*inputs: TensorSpec) -> list[str]:
    """The words of a command, as a shell takes them."""
    rows = [TensorSpec(each.name, each.dtype, each.shape, batch_axis=0) for each in (*inputs, Y)]
    return shlex.split(curl_for("http://h:1", "m", Interface(rows[:-1], rows[-1:]), "-k "))


def test_a_small_request_is_written_out() -> None:
    words = hint(tensor("it's $(x)", "N", 2), tensor("b", "N", 1, dtype=np.bool_))
    assert words[:5] == ["curl", "-s", "-k", "http://h:1/v2/models/m/infer", "-d"]
    one, other = json.loads(words[5])["inputs"]
    assert one == {"name": "it's $(x)", "datatype": "FP32", "shape": [1, 2], "data": [0, 0]}
    assert other == {"name": "b", "datatype": "BOOL", "shape": [1, 1], "data": [False]}


def test_a_large_one_is_bytes() -> None:
    words = hint(tensor("x", "N", 3, 224, 224))
    assert words[:3] == ["head", "-c", str(3 * 224 * 224 * 4)]
    assert words[-1] == "http://h:1/v2/models/m/infer"
    assert "Inference-Header-Content-Length: 0" in words


def test_what_the_model_leaves_open_is_not_guessed() -> None:
    metadata = ["curl", "-s", "-k", "http://h:1/v2/models/m"]
    assert hint(tensor("x", "N", "length")) == metadata
    assert hint(tensor("x", "N", 1000), tensor("z", "N", 1000)) == metadata
