"""One engine for many processes: the process that owns it.

`service` listens and ends, `session` is one client, `slots` what a client's memory is divided into,
`models` the engines. The protocol is in `trtasync.shared`.
"""

from trtasync.host.serving import serve

__all__ = ["serve"]
