"""A model behind the Open Inference Protocol over gRPC, and Triton's own client of it.

Both are in one process here, which most servers of this protocol do not get along with.
"""

from pathlib import Path

import anyio
import numpy as np
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient

import trtasync
from trtasync.server.grpc import GrpcServer
from trtasync.server.models import Models

MODEL = Path(__file__).parent / "models" / "digits_pair.onnx"


async def main() -> None:
    """Serve a model, and ask it."""
    models = Models()
    models.add("pair", lambda: trtasync.open_engine(MODEL))
    async with (
        models,
        GrpcServer(models).listening("127.0.0.1:0") as port,
        InferenceServerClient(f"127.0.0.1:{port}") as client,
    ):
        await ask(client)


async def ask(client: InferenceServerClient) -> None:
    """What does the model take? One row of it, please."""
    model = await client.get_model_metadata("pair")
    inputs = []
    for each in model.inputs:
        print(each.name, each.datatype, list(each.shape))
        row = np.zeros([max(1, dim) for dim in each.shape], np.float32)
        inputs.append(InferInput(each.name, row.shape, each.datatype).set_data_from_numpy(row))
    answer = await client.infer("pair", inputs, request_id="first", client_timeout=30)
    for output in model.outputs:
        print(output.name, answer.as_numpy(output.name))


if __name__ == "__main__":
    anyio.run(main)
