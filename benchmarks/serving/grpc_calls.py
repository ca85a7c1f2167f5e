"""The load generator of gRPC: `python -m benchmarks.serving.grpc_calls '<order as JSON>'`.

Closed-loop callers on one channel of grpcio's asyncio client. It takes more CPU than most servers,
so what it finds per second is its own limit as often as theirs. It checks an answer, warms up,
measures, and prints a sample, whose `cpu_us` is that of all processes below its parent, itself
left out.
"""

import asyncio
import json
import os
import sys
from dataclasses import dataclass

import grpc.aio
import numpy as np

from benchmarks.load import Sample, closed_loop, rows
from benchmarks.peers.processes import cpu_below
from benchmarks.peers.reasons import told
from benchmarks.systems import model
from benchmarks.yardsticks import Array
from trtasync.measure.runs import on_loop
from trtasync.server.grpc.messages import INFERENCE

METHOD = "/inference.GRPCInferenceService/ModelInfer"


@dataclass(frozen=True, slots=True)
class Order:
    """What one generator does.

    Attributes:
        port: where the server listens, on this machine.
        callers: each of which asks again as soon as it is answered.
        seconds: how long.
        warm_up: seconds of the same before, not counted.
        patience: seconds that the server may take to be there.
    """

    port: int
    callers: int
    seconds: float
    warm_up: float
    patience: float


def request(row: Array) -> bytes:
    """A row as clients send it: raw."""
    x = {"name": "x", "datatype": "FP32", "shape": [1, row.size]}
    message = INFERENCE.make(
        "ModelInferRequest", model_name="rows", inputs=[x], raw_input_contents=[row.tobytes()]
    )
    return message.SerializeToString()


async def work(order: Order) -> Sample:
    """Wait, check, warm up, measure."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{order.port}") as channel:
        await asyncio.wait_for(channel.channel_ready(), order.patience)
        call = channel.unary_unary(METHOD)  # bytes in and out
        asked = rows(order.callers)
        answer = INFERENCE.parse("ModelInferResponse", await call(request(asked[0])))
        given = np.frombuffer(answer.raw_output_contents[0], np.float32)
        np.testing.assert_allclose(given, model(asked[0][None])[0], rtol=1e-3, atol=1e-3)

        requests = [request(row) for row in asked]
        await closed_loop(call, requests, order.warm_up)
        before = served()
        sample = await closed_loop(call, requests, order.seconds, others=served)
        sample["cpu_us"] = (served() - before) / sample["requests"] * 1e6
        return sample


def served() -> float:
    """CPU seconds of everything below the parent but this process."""
    return cpu_below(os.getppid(), [os.getpid()])


def main() -> None:
    """Do what the order on the command line says."""
    order = Order(**json.loads(sys.argv[1]))
    try:
        sample = on_loop("uvloop", lambda: work(order))
    except Exception as error:  # whatever it is, it is why there is no sample
        sys.exit(told(error))
    print(json.dumps(sample))


if __name__ == "__main__":
    main()
