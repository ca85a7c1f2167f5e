"""Engines in Ray Serve: one to a replica, behind handles, HTTP and gRPC.

app = deployment("digits.onnx", num_replicas=2, max_batch_size=32).bind()
client = Client(serve.run(app))
y = await client.infer(x)

`deploying` makes deployments of `replica`, or of `many` models each. `client` asks them,
`deadlines` tells when its caller gives up, and `failures` what becomes of Ray's errors. `limits`,
`progress`, `load`, `scaling` and `openings` need no Ray: how much a replica may be sent, whether it
gets on, how busy it is, how many the load takes, and what becomes of models that take long to open.
`routing` and `backpressure` tell Ray; `grpc` and `json_errors` are what its proxies have to know.
With `pip install "trtasync[ray]"`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trtasync.integrations.ray_serve.client import Client
    from trtasync.integrations.ray_serve.deploying import application, deployment, multiplexed
    from trtasync.integrations.ray_serve.many import ManyModels
    from trtasync.integrations.ray_serve.replica import Replica

__all__ = ["Client", "ManyModels", "Replica", "application", "deployment", "multiplexed"]

_HOMES = {
    "Client": "client",
    "ManyModels": "many",
    "Replica": "replica",
    "application": "deploying",
    "deployment": "deploying",
    "multiplexed": "deploying",
}
"""Modules that need Ray load when they are asked for: its proxies need only those that do not."""


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
