"""How the pages in docs become a site: `make docs`, which runs mkdocs with `hooks.py`."""
