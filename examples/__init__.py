"""Examples of trtasync. Each runs by itself: `python -m examples.hello`."""
