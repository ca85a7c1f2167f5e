"""Benchmarks of trtasync against hand-written and public batchers; see `benchmarks/README.md`."""
