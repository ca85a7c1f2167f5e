"""Peers, side by side: the same model and load through other batchers and servers.

`python -m benchmarks.peers`; `benchmarks/README.md` says how each is run, what is unfair to whom.
"""
