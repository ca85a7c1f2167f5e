"""GET /metrics: engines' counts for Prometheus, collected only when it asks.

`families` are the metrics, `triton` the same under Triton's names, `route` and
`exposition` tell them over HTTP.
It comes with `pip install "trtasync[server]"`.
"""
