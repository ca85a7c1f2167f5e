"""How a row and its answer look on the wire: raw float32 wherever a server takes that."""

import json
from base64 import b64encode
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from benchmarks.peers.http11 import Answer, request_bytes
from benchmarks.yardsticks import Array


class Body(NamedTuple):
    """One form of requests and answers."""

    request: Callable[[Array], bytes]
    answer: Callable[[Answer], Array]


def _raw(row: Array) -> bytes:
    return request_bytes("/infer", {"Content-Type": "application/octet-stream"}, row.tobytes())


def _raw_litserve(row: Array) -> bytes:
    return request_bytes("/predict", {"Content-Type": "application/octet-stream"}, row.tobytes())


def _raw_mosec(row: Array) -> bytes:
    return request_bytes("/inference", {"Content-Type": "application/octet-stream"}, row.tobytes())


def _raw_answer(answer: Answer) -> Array:
    return np.frombuffer(answer.body, np.float32)


def _base64(row: Array) -> bytes:
    body = json.dumps({"rows": [b64encode(row.tobytes()).decode()]}).encode()
    return request_bytes("/infer", {"Content-Type": "application/json"}, body)


def _json_answer(answer: Answer) -> Array:
    return np.array(json.loads(answer.body)[0], np.float32)


def _kserve(row: Array) -> bytes:
    """Triton's HTTP protocol with binary tensors: a JSON head, then the bytes."""
    x = {
        "name": "x",
        "shape": [1, row.size],
        "datatype": "FP32",
        "parameters": {"binary_data_size": row.nbytes},
    }
    y = {"name": "y", "parameters": {"binary_data": True}}
    head = json.dumps({"inputs": [x], "outputs": [y]}).encode()
    headers = {
        "Content-Type": "application/octet-stream",
        "Inference-Header-Content-Length": str(len(head)),
    }
    return request_bytes("/v2/models/rows/infer", headers, head + row.tobytes())


def _kserve_json(row: Array) -> bytes:
    """The same protocol without binary tensors: numbers as text."""
    x = {"name": "x", "shape": [1, row.size], "datatype": "FP32", "data": row.tolist()}
    body = json.dumps({"inputs": [x]}).encode()
    return request_bytes("/v2/models/rows/infer", {"Content-Type": "application/json"}, body)


def _kserve_json_answer(answer: Answer) -> Array:
    (y,) = json.loads(answer.body)["outputs"]
    return np.array(y["data"], np.float32)


def _kserve_answer(answer: Answer) -> Array:
    head = int(answer.header("Inference-Header-Content-Length") or 0)
    return np.frombuffer(answer.body[head:], np.float32)


BODIES: dict[str, Body] = {
    "raw": Body(_raw, _raw_answer),
    "raw, /predict": Body(_raw_litserve, _raw_answer),
    "raw, /inference": Body(_raw_mosec, _raw_answer),
    "base64 in JSON": Body(_base64, _json_answer),
    "KServe v2, binary": Body(_kserve, _kserve_answer),
    "KServe v2, JSON": Body(_kserve_json, _kserve_json_answer),
}
