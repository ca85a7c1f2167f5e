"""GET /metrics: engines' counts for Prometheus, made when it asks and at no other time.

`families` are the metrics, `triton` the same under Triton's names, `route` and
`exposition` tell them over HTTP.
It comes with `pip install "trtasync[server]"`.
"""
