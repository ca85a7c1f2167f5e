"""Measurements of trtasync beside hand-written and public batchers; see `benchmarks/README.md`."""
