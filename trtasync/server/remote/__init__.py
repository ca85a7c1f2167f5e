"""Models on other servers of the Open Inference Protocol, for benchmarks.

`subject` is a model that a benchmark can measure; `places` says where its server is, and `offers`
what a server offers and how any client asks for it: `over_http`, by `messages` on a `wire` that
speaks as much HTTP/1.1 as such servers do, or `over_grpc`. It is no client for applications, which
have tritonclient.
"""
