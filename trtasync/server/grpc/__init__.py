"""The gRPC door: the protocol's service, with Triton's calls, on grpcio's asyncio server.

`descriptors` makes protobuf messages from the tables in `messages`; `views` has the types of
requests for type checkers. `wire` cuts a request from its bytes, `reading` knows those seen before,
`requests` reads a new one; `inference` answers it, `streams` many on one call. `services` has the
other calls of the protocol, `health` those of gRPC itself, and `calls` answers or refuses any of
them; `server` listens, enforces `limits`, and shuts down.
"""

from trtasync.server.grpc.limits import Limits
from trtasync.server.grpc.server import GrpcServer

__all__ = ["GrpcServer", "Limits"]
