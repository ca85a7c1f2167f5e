"""Slots and staging."""
