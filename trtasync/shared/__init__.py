"""One engine for many processes: the clients' side.

`client` is what they use, `connection` its socket, `arena` the memory that it shares with the host,
`records` and `forms` the protocol. The host is `trtasync.host`.
"""
