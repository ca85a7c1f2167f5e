"""Models on other servers of the Open Inference Protocol, as a load asks them over HTTP.

`wire` is HTTP/1.1 as far as such a server speaks it, `messages` the protocol as its clients write
and read it, and `subject` a model that a benchmark can measure. It is no client for applications:
whoever writes one of these has tritonclient.
"""
