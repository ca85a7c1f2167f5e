"""Engines in Ray Serve, on a cluster of one node: `make test-ray`, in an environment of its own.

What needs no Ray is tested in `tests/integrations`.
"""
