"""trtasync in a replica of Ray Serve: `python -m benchmarks.ray_serve`."""
