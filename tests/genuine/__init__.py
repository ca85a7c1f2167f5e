"""NVIDIA's own builder and parser, and what is held against them."""
