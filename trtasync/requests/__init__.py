"""Requests: from callers' values to rows of one shape, and from rows back to answers."""
