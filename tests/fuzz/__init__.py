"""Hostile models, notes, archives and arguments."""
