"""Scripted models behind uvicorn, for clients in other processes."""

import socket

import ml_dtypes
import uvicorn

from support.helpers import tensor
from tests.server.serving import opener
from trtasync.server.asgi import application
from trtasync.server.models import Models
from trtasync.testing import ScriptedBackend

DTYPES = [
    *("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"),
    *("float16", "float32", "float64"),
]
"""There is a model of each that gives back what it gets, and one for bfloat16."""


def models() -> Models:
    """ "double" in two versions, "pair" of two inputs and outputs, "empty" whose first output is
    so, and the others."""
    models = Models()
    for version in (1, 2):
        models.add("double", opener(ScriptedBackend(lambda x: 2 * x)), version=version)
    for name in (*DTYPES, "bfloat16"):
        dtype = ml_dtypes.bfloat16 if name == "bfloat16" else name
        given, answered = tensor("x", "N", 4, dtype=dtype), tensor("y", "N", 4, dtype=dtype)
        models.add(name, opener(ScriptedBackend(inputs=[given], outputs=[answered])))
    pair = ScriptedBackend(
        lambda a, b: [a + b, a - b],
        inputs=[tensor("a", "N", 4), tensor("b", "N", 4)],
        outputs=[tensor("sum", "N", 4), tensor("difference", "N", 4)],
    )
    models.add("pair", opener(pair))
    empty = ScriptedBackend(
        lambda x: [x[:, :0], x], outputs=[tensor("nothing", "N", "K"), tensor("y", "N", 4)]
    )
    models.add("empty", opener(empty))
    return models


def main() -> None:
    """Serve until a signal comes."""
    app = application(models(), model_control=True, compress_answers=True)
    config = uvicorn.Config(app, log_config=None, ws="none", lifespan="on")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        host, port = listening.getsockname()
        print(f"{host}:{port}", flush=True)  # for who started it
        uvicorn.Server(config).run([listening])


if __name__ == "__main__":
    main()
