"""Engines inside other people's frameworks."""
