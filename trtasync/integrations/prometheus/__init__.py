"""Engines' counts for Prometheus, made when it asks and at no other time.

`collector` is for a registry of yours, `route` is a server's /metrics; `families` are the names.
With `pip install "trtasync[metrics]"`.
"""
