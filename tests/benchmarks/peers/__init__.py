"""The benchmark beside other batchers and servers."""
