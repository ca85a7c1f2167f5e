"""Turns the pages in docs into a site: `make docs`, which runs mkdocs with `hooks.py`."""
