"""The seam that every backend keeps, and ONNX Runtime behind it."""
