"""Searching the best settings."""
