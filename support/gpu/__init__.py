"""Bare GPU calls, and models with real kernels: torch's, captured, and small ones."""
