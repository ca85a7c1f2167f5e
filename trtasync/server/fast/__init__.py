"""The fast door: HTTP/1.1 on asyncio, without a task or a copy more than a request needs.

It answers what is asked of models itself, and hands everything else to the ASGI application.
`heads` reads what comes before a body, `chunks` and `sinks` take the body in, `reading` leads from
one to the other; `connection` is one client, `wire` the way back to it; `desk` asks the engine,
`replies` is who it answers, `outbox` when, `bridge` the way to the application; `arrivals`
lets clients in, `server` watches the clock (`limits`) and ends.
"""

from trtasync.server.fast.limits import Limits
from trtasync.server.fast.server import FastServer

__all__ = ["FastServer", "Limits"]
