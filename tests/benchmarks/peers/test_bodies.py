"""What goes over the wire is the row, and the answer is read back from what comes."""

import json
from base64 import b64decode

import numpy as np
import pytest

from benchmarks.peers.bodies import BODIES
from benchmarks.peers.catalogue import SYSTEMS
from benchmarks.peers.http11 import Answer
from benchmarks.systems import CLASSES, COLUMNS

ROW = np.arange(COLUMNS, dtype=np.float32)
ANSWER = np.arange(CLASSES, dtype=np.float32)


@pytest.mark.parametrize("name", [name for name in BODIES if name.startswith("raw")])
def test_raw_bodies_are_the_rows_bytes(name: str) -> None:
    head, _, body = BODIES[name].request(ROW).partition(b"\r\n\r\n")
    assert body == ROW.tobytes()
    assert f"Content-Length: {ROW.nbytes}".encode() in head
    np.testing.assert_array_equal(BODIES[name].answer(Answer(200, b"", ANSWER.tobytes())), ANSWER)


def test_base64_in_json() -> None:
    body = BODIES["base64 in JSON"].request(ROW).partition(b"\r\n\r\n")[2]
    assert b64decode(json.loads(body)["rows"][0]) == ROW.tobytes()
    answer = Answer(200, b"", json.dumps([ANSWER.tolist()]).encode())
    np.testing.assert_array_equal(BODIES["base64 in JSON"].answer(answer), ANSWER)


def test_kserve_binary_puts_bytes_behind_a_json_head() -> None:
    head, _, body = BODIES["KServe v2, binary"].request(ROW).partition(b"\r\n\r\n")
    length = len(body) - ROW.nbytes
    assert f"Inference-Header-Content-Length: {length}".encode() in head
    (told,) = json.loads(body[:length])["inputs"]
    assert (told["shape"], told["parameters"]["binary_data_size"]) == ([1, COLUMNS], ROW.nbytes)
    assert body[length:] == ROW.tobytes()
    answer = Answer(
        200, b"HTTP/1.1 200 OK\r\ninference-header-content-length: 2", b"{}" + ANSWER.tobytes()
    )
    np.testing.assert_array_equal(BODIES["KServe v2, binary"].answer(answer), ANSWER)


def test_every_server_has_a_body() -> None:
    assert {system.body for system in SYSTEMS.values() if system.server} <= set(BODIES)
