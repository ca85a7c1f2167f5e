"""Measuring under load."""
