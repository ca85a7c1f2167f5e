"""Models out of packages on PyPI."""
