"""The TensorRT backend, on the doubles."""
