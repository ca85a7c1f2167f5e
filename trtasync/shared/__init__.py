"""One engine for many processes: the side of those who ask.

`client` is what they hold, `connection` its socket, `arena` the memory that it shares with the
host, `records` and `forms` what both sides say. The host is `trtasync.host`.
"""
