"""One engine for many processes, compared with an engine in each: see `__main__`."""
