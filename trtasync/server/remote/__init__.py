"""Models on other servers of the Open Inference Protocol, as a load asks them.

`subject` is a model that a benchmark can measure; `places` says where its server is, and `offers`
what that offers and how any client asks for it: `over_http`, by `messages` on a `wire` of HTTP/1.1
as far as such servers speak it, or `over_grpc`. It is no client for applications: whoever writes
one of these has tritonclient.
"""
