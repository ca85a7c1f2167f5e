"""Cores and memory of the machine."""
