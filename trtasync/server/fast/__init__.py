"""The fast door: HTTP/1.1 on asyncio, with no task or copy that a request does not need.

It answers infer requests itself, and hands everything else to the ASGI application. `heads` reads
what comes before a body, `chunks` and `sinks` take the body in, `reading` leads from one to the
other; `connection` is one client, `wire` the way back to it; `desk` submits requests to an engine,
`replies` receives their outcomes, `outbox` has them written at the end of a turn; `bridge` leads to
the application; `arrivals` lets clients in; `server` watches the clock (`limits`) and shuts down.
"""

from trtasync.server.fast.limits import Limits
from trtasync.server.fast.server import FastServer

__all__ = ["FastServer", "Limits"]
