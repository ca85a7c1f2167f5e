"""The simulated device and its schedulers."""
