"""The benchmarks themselves: what they count, draw and write."""
