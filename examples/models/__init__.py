"""Small models for the examples, and the scripts that make them."""
