"""From what callers give to rows of one shape, and from rows back to answers."""
