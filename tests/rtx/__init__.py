"""TensorRT for RTX: its builder, which is genuine here, and its run time on doubles."""
