"""Opening engines, and what is refused there."""
