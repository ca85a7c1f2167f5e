"""Tensors, batch axes and profiles as values."""
