"""Our doors beside other people's servers, under wrk: see `__main__`."""
