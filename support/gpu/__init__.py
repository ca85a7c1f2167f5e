"""A GPU's bare calls, and models whose kernels are real: torch's, captured, and small ones."""
