"""One engine for many processes, beside an engine of one's own: see `__main__`."""
