"""The event loops."""
