"""The fast door: HTTP/1.1 on asyncio, without a task or a copy more than a request needs.

It answers what is asked of models itself, and hands everything else to the ASGI application.
`heads` reads what comes before a body, `chunks` and `sinks` take the body in, `desk` asks the
engine, `replies` is who it answers, `connection` is one client, `bridge` is the way to the
application, and `server` listens, watches the clock and ends.
"""
