"""The gRPC door: the protocol's service, with Triton's calls, on grpcio's asyncio server.

`descriptors` makes messages of protobuf from the tables in `messages`, whose request types `views`
tells to type checkers. `requests` reads one, `reading` what was seen before and
`wire` cut from its bytes, `inference` answers it, `streams` many on one call;
`services` is every call of the protocol, `health` that of gRPC itself, `calls` how any of them is
answered or refused; `server` listens, bounds (`limits`) and ends.
"""

from trtasync.server.grpc.limits import Limits
from trtasync.server.grpc.server import GrpcServer

__all__ = ["GrpcServer", "Limits"]
