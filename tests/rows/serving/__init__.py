"""Right answers whatever a model file says of itself: every row of it as if it were alone."""
