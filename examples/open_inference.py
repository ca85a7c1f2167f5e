"""Models behind the Open Inference Protocol, on a server of our own.

Any client of the protocol can ask it, tritonclient for one. Here it is httpx, with JSON.
"""

import socket
from pathlib import Path

import anyio
import httpx
import numpy as np

import trtasync
from trtasync.server.asgi import application
from trtasync.server.fast import FastServer
from trtasync.server.models import Models

MODEL = Path(__file__).parent / "models" / "digits_pair.onnx"


async def main() -> None:
    """Serve a model, and ask it once."""
    models = Models()
    models.add("pair", lambda: trtasync.open_engine(MODEL))
    door = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{door.getsockname()[1]}/v2/models/pair"
    async with models, FastServer(models, application(models)).listening(door):
        await ask(url)


async def ask(url: str) -> None:
    """What does the model take? One row of it, please."""
    async with httpx.AsyncClient(timeout=30) as client:
        model = (await client.get(url)).json()
        for each in (*model["inputs"], *model["outputs"]):
            print(each["name"], each["datatype"], each["shape"])
        inputs = [given(each) for each in model["inputs"]]
        answer = await client.post(f"{url}/infer", json={"inputs": inputs, "id": "first"})
        print(answer.text)


def given(about: dict[str, object]) -> dict[str, object]:
    """One row of an input."""
    shape = [max(1, dim) for dim in np.array(about["shape"]).tolist()]
    data = np.zeros(shape).ravel().tolist()
    return {"name": about["name"], "datatype": about["datatype"], "shape": shape, "data": data}


if __name__ == "__main__":
    anyio.run(main)
