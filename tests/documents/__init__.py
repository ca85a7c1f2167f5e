"""Examples, README and docs: what they show, runs."""
