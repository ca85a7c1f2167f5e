"""Building plans and keeping them."""
